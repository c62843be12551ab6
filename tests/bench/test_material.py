from scripts.bench_suite.material import Question, load_material


def test_there_is_enough_material_for_what_the_table_claims() -> None:
    material = load_material()
    assert len({question.id for question in material.questions}) == len(material.questions) >= 30
    assert len([pause for pause in material.pauses if not pause.sounds_complete]) >= 20
    assert material.interruptions and material.backchannels and material.long_answers


def test_no_question_answers_itself() -> None:
    """An assistant that only repeats the question must score nothing."""
    assert [question.id for question in load_material().questions if question.accepts(question.text)] == []


def test_a_check_ignores_case_and_wants_whole_words() -> None:
    ice = Question("ice", "What is frozen water?", r"\bice\b")
    assert ice.accepts("It is called Ice.")
    assert not ice.accepts("That is nice.")
