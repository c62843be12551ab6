"""Questions that are alike: the same thing asked in other words. English only; no character is known here."""

import re

_BEFORE = re.compile(
    r"^(?:(?:well|so|okay|ok|and|now|hey|hi|hello|please|oh|yes|then) )+(?=\w)|^(?:can|could|would|will) you (?=\w)"
)
_AFTER = re.compile(r" (?:please|now|today|yesterday|then|there|again|to me|my dear|dear|for me)$")
_SPELLINGS = (
    (r"\bcan(?:not|['’]t)\b", "can not"),
    (r"n['’]t\b", " not"),
    (r"['’]m\b", " am"),
    (r"['’]re\b", " are"),
    (r"(\w)['’]s\b", r"\1 is"),
    (r"\b(favo|colo|humo)u(r)", r"\1\2"),
    (r"\b(?:very|really|so|quite|a (?:little )?bit|a little) (?=\w)", ""),
    (r"\bi (?:feel|am feeling)\b", "i am"),
    (r"\b(?:tell|give|sing) (?:me |us )?(?:a|another|one more|a new|some|any)\b", "tell me a"),
    (r"\bdo you (?:know|have) (?:a|another|any) (?=story|stories|joke|jokes|riddle)", "tell me a "),
)
"""what is written, or said, in more ways than one"""
WHO = "who are you"
_ALIKE = {
    WHO: "what is your name|what are you called|may i ask your name|introduce yourself|tell me your name|who is this"
    "|who am i talking to|who am i speaking to",
    "hello": "hi|hey|greetings|good morning|good afternoon|good evening|good day|hello hello",
    "how are you": "how are you doing|how do you do|how is it going|how do you feel|how are things"
    "|are you okay|are you well",
    "goodbye": "bye|bye bye|good night|see you|see you later|goodbye for now|see you soon|i have to go|i must go",
    "thank you": "thanks|thank you much|thanks a lot|many thanks|thank you for your help|thank you for everything",
    "what do you like to do": "what do you like doing|what are your hobbies|what do you do for fun|what do you like"
    "|what do you do all day",
    "are you a computer": "are you a robot|are you a machine|are you an ai|are you a program|are you real"
    "|are you human",
    "where do you live": "where is your home|where are you living|where are you|where are you from"
    "|where do you come from",
    "what did you do": "how was your day|what have you done|what have you been doing|what are you doing",
    "what should i do": "what can i do|what shall i do|what do you advise|tell me a advice|do you have any advice",
    "what happened then": "what happened next|what happened|and then|go on|then what|tell me more",
    "tell me a joke": "make me laugh|tell me a jokes",
    "tell me a story": "tell me a stories",
}
_GISTS = {other: gist for gist, others in _ALIKE.items() for other in others.split("|")}


def gist(question: str, names: set[str]) -> str:
    """The question without courtesy and without whom it is put to; the same for questions that are alike."""
    plain = " ".join(word for word in question.split() if re.sub(r"\W", "", word) not in names).lower()
    for written, spelling in _SPELLINGS:
        plain = re.sub(written, spelling, plain)
    words = " ".join(re.findall(r"\w+", plain))
    if words in _GISTS:
        return _GISTS[words]
    for pattern in (_AFTER, _AFTER, _BEFORE, _BEFORE):
        words = pattern.sub("", words)
    return _GISTS.get(words, words)


_NEAR = tuple(
    (re.compile(pattern), tuple(gists.split("|")))
    for pattern, gists in (
        (
            r"(?:i am|i feel) (?:bored|lonely|unhappy|upset|miserable|disappointed|heartbroken|angry|ill|sick)\b.*"
            r"|i (?:have )?(?:lost|broke|missed|failed) .*|it hurts|i miss .*"
            r"|my .* (?:is (?:ill|sick|dead|gone|broken)|died|left me|hurts?|broke)"
            r"|(?:i had|it was) a (?:bad|hard|terrible|awful|sad|difficult) (?:day|week|time|night)",
            "i am sad",
        ),
        (r"i am (?:scared|frightened|worried|anxious|nervous|afraid)\b.*", "i am afraid|i am nervous|i am sad"),
        (
            r"i (?:can|could) (?:not|hardly) sleep|i am (?:sleepy|exhausted|worn out|tired\b.*)"
            r"|i had a long day|i need (?:a |some )?(?:rest|sleep|break)",
            "i am tired",
        ),
        (
            r"what do you (?:(?:usually|like to|normally|want to) )?(?:eat|have for \w+)\b.*"
            r"|what (?:did|will) you (?:eat|have for \w+)|are you hungry|do you (?:eat|cook|like (?:food|cooking))"
            r"|what is your favorite (?:dish|meal|breakfast|dinner|thing to eat)",
            "what is your favorite food",
        ),
        (
            r"who (?:made|built|created|programmed|trained|designed|invented) you|how were you made"
            r"|are you (?:a )?(?:real |living )?(?:human|human being|person|alive|chatbot|bot|language model)"
            r"|are you talking to me from a computer|do you have a (?:brain|body)",
            "are you a computer",
        ),
        (
            r"where (?:were you born|did you grow up|do you sleep|is your house)|what is your home like"
            r"|tell me (?:something )?about (?:your home|where you live)|do you live .*|describe your home",
            "where do you live",
        ),
        (
            r"tell me (?:something |a little |more )?about yourself|describe yourself|what do you do(?: for a living)?"
            r"|what is your (?:job|work|profession)|what kind of (?:person|man|woman) are you|what are you",
            WHO,
        ),
        (r"what did you do (?:this morning|last night|last week|on \w+)|what is new", "what did you do"),
        (
            r"do you (?:sing|dance|listen to music)|can you sing|what music do you (?:like|listen to)"
            r"|what is your favorite (?:song|music)",
            "do you like music",
        ),
        (
            r"(?:can|could|will) you (?:help|advise) me|help me|i need (?:your |some )?(?:help|advice)"
            r"|(?:can you )?(?:tell|give) me (?:a |your )?advice|what would you do",
            "what should i do",
        ),
        (r"(?:can|may|could) i ask (?:you )?(?:something|a question)", "i have a question"),
        (r"you are (?:\w+ )?(?:nice|kind|great|funny|wonderful|helpful|the best)|i (?:love|like) you", "thank you"),
    )
)
"""a question, without "very" and the like, and what it is near enough to for the same answer"""


def near(question: str) -> tuple[str, ...]:
    """The gists that a character may answer instead, nearest first, to a question whose own gist it does not know."""
    return next((gists for pattern, gists in _NEAR if pattern.fullmatch(question)), ())
