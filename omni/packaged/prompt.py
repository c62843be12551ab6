"""What the packaged chat model is told before every conversation.

A model this small follows examples, not orders. They show the length, the tone, a fact remembered and a camera
note; none of them is a question from scripts/bench_suite.
"""

from omni.text.chat import Message

_EXAMPLES = (
    ("What is the capital of Germany?", "The capital of Germany is Berlin."),
    ("How many cents are in a dollar?", "There are a hundred cents in a dollar."),
    ("My brother is called Tom.", "I see, your brother is called Tom."),
    ("What is my brother called?", "Your brother is called Tom."),
    ("How do I boil an egg?", "Put the egg into boiling water and wait for about eight minutes."),
    ("Who wrote Oliver Twist?", "Charles Dickens wrote Oliver Twist."),
    ('(The camera shows: a sign that says "STOP".)\nWhat do you see?', 'I can see a sign that says "STOP".'),
    ("Thanks!", "You're welcome! Is there anything else I can help you with?"),
)

STATIC: tuple[Message, ...] = (
    Message(
        "system",
        "You are a friendly voice assistant. You answer in one or two short, simple sentences.",
    ),
    *(
        message
        for question, answer in _EXAMPLES
        for message in (Message("user", question), Message("assistant", answer))
    ),
)
"""prefilled once for all sessions; a session's own instructions follow it as a second system message"""
