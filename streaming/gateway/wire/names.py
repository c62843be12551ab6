"""The wire's names for client and server events: OpenAI Realtime GA, then our extensions.

The only place where they are spelled, so that another dialect can be put beside this one.
"""

# ---------------------------------------------------------------- client

SESSION_UPDATE = "session.update"
INPUT_AUDIO_APPEND = "input_audio_buffer.append"
INPUT_AUDIO_COMMIT = "input_audio_buffer.commit"
INPUT_AUDIO_CLEAR = "input_audio_buffer.clear"
OUTPUT_AUDIO_CLEAR = "output_audio_buffer.clear"
ITEM_CREATE = "conversation.item.create"
ITEM_RETRIEVE = "conversation.item.retrieve"
ITEM_TRUNCATE = "conversation.item.truncate"
ITEM_DELETE = "conversation.item.delete"
RESPONSE_CREATE = "response.create"
RESPONSE_CANCEL = "response.cancel"

PLAYBACK_ACK = "playback.ack"
"""extension: how far the listener has got"""
EVENT_ACK = "event_ack"
"""extension: events that the client has, by their server_event_seq"""
SESSION_HEARTBEAT = "session.heartbeat"
"""extension: is anybody there?"""
SESSION_RESUME = "session.resume"
"""extension: the first message of a connection that takes the place of a lost one"""

# ---------------------------------------------------------------- server

ERROR = "error"
SESSION_CREATED = "session.created"
SESSION_UPDATED = "session.updated"

SPEECH_STARTED = "input_audio_buffer.speech_started"
SPEECH_STOPPED = "input_audio_buffer.speech_stopped"
TIMEOUT_TRIGGERED = "input_audio_buffer.timeout_triggered"
INPUT_AUDIO_COMMITTED = "input_audio_buffer.committed"
INPUT_AUDIO_CLEARED = "input_audio_buffer.cleared"
TRANSCRIPTION_DELTA = "conversation.item.input_audio_transcription.delta"
TRANSCRIPTION_COMPLETED = "conversation.item.input_audio_transcription.completed"

ITEM_ADDED = "conversation.item.added"
ITEM_DONE = "conversation.item.done"
ITEM_RETRIEVED = "conversation.item.retrieved"
ITEM_TRUNCATED = "conversation.item.truncated"
ITEM_DELETED = "conversation.item.deleted"

OUTPUT_AUDIO_STARTED = "output_audio_buffer.started"
OUTPUT_AUDIO_STOPPED = "output_audio_buffer.stopped"
OUTPUT_AUDIO_CLEARED = "output_audio_buffer.cleared"

RESPONSE_CREATED = "response.created"
RESPONSE_DONE = "response.done"
OUTPUT_ITEM_ADDED = "response.output_item.added"
OUTPUT_ITEM_DONE = "response.output_item.done"
CONTENT_PART_ADDED = "response.content_part.added"
CONTENT_PART_DONE = "response.content_part.done"
TEXT_DELTA = "response.output_text.delta"
TEXT_DONE = "response.output_text.done"
AUDIO_DELTA = "response.output_audio.delta"
AUDIO_DONE = "response.output_audio.done"
AUDIO_TRANSCRIPT_DELTA = "response.output_audio_transcript.delta"
AUDIO_TRANSCRIPT_DONE = "response.output_audio_transcript.done"
ARGUMENTS_DELTA = "response.function_call_arguments.delta"
ARGUMENTS_DONE = "response.function_call_arguments.done"

OVERLAP_DECISION = "overlap.decision"
"""extension: what sounded over the answer was no interruption"""
TURN_MEASURED = "omni.turn_measured"
"""extension: how fast an answer came"""
SESSION_RESUMED = "session.resumed"
"""extension: all that was missed has been sent again; the call goes on"""
SESSION_HEARTBEAT_ACK = "session.heartbeat_ack"
"""extension: somebody is there"""
SESSION_GO_AWAY = "session.go_away"
"""extension: the session will soon end for want of time"""
SESSION_CLOSED = "session.closed"
"""extension: the last event, and why"""
