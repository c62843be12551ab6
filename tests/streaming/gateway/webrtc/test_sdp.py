"""Video that cannot be decoded is declined, and the rest of an offer is not."""

from streaming.gateway.webrtc.sdp import decline_video, with_declined

HEAD = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1 2\r\na=msid-semantic: WMS\r\n"
AUDIO = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=rtpmap:111 opus/48000/2\r\n"
VP9 = "m=video 9 UDP/TLS/RTP/SAVPF 98 99\r\na=mid:1\r\na=rtpmap:98 VP9/90000\r\na=rtpmap:99 rtx/90000\r\n"
VP8 = "m=video 9 UDP/TLS/RTP/SAVPF 96 98\r\na=mid:1\r\na=rtpmap:98 VP9/90000\r\na=rtpmap:96 VP8/90000\r\n"
CHANNEL = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\n"
CODECS = ("VP8", "H264")
NO = "m=video 0 UDP/TLS/RTP/SAVPF 98 99\r\nc=IN IP4 0.0.0.0\r\na=inactive\r\na=mid:1\r\n"


def test_an_offer_that_can_be_taken_stays_as_it_is() -> None:
    offer = HEAD + AUDIO + VP8 + CHANNEL
    assert decline_video(offer, CODECS) == (offer, [])
    assert with_declined(offer, []) == offer


def test_video_in_unknown_codecs_is_left_out_and_declined_in_its_place() -> None:
    offer, declined = decline_video(HEAD + AUDIO + VP9 + CHANNEL, CODECS)
    assert offer == HEAD.replace("0 1 2", "0 2") + AUDIO + CHANNEL
    assert with_declined(HEAD + AUDIO + CHANNEL, declined) == HEAD + AUDIO + NO + CHANNEL


def test_several_keep_their_places() -> None:
    offer, declined = decline_video(HEAD + VP9 + AUDIO + CHANNEL + VP9.replace("mid:1", "mid:3"), CODECS)
    assert offer == HEAD.replace("0 1 2", "0 2") + AUDIO + CHANNEL
    assert with_declined(AUDIO + CHANNEL, declined) == NO + AUDIO + CHANNEL + NO.replace("mid:1", "mid:3")
