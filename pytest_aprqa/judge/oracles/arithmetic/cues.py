"""The words that announce, deny, correct or end a stated value."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


BOX = "▢"  # what stands in the tokens for LaTeX's box around an answer
ITEM = "•"  # what stands there for the marker of a list item

LEADS_TO_VALUE = _words("""
is are be makes make gives yields totals returns becomes = == ≈ ≃ ≅ : ? ... →
""")
CHAINS = _words("= == ≈ ≃ ≅")
PAUSES = _words(": ? ...")
IS = _words("is are be was = == : →")

ANSWER_NOUNS = _words("answer ans result solution")
SUM_NOUNS = _words("sum total product difference quotient remainder value output")
AFTER_SUM_NOUN = _words("of between for to") | IS
PRONOUNS = _words("it that this which")
BESIDE_PRONOUN = _words("""
would could should must will can ca wo may might all then also therefore thus just simply
really definitely clearly indeed probably actually not never
""")
GETS = _words("""
get gets got getting give gives giving obtain obtains makes making leaves leaving yields yielding
comes totals so therefore thus hence
""")

FILLERS = _words("""
exactly just simply therefore thus actually approximately about roughly around indeed then also of
the a an number value answer result total to us you we me have up out in but final : " ' “ #
""") | {BOX, ITEM}
POLITE = _words("""
sure certainly ok okay yes hello hi hey well course of great good easy i we think believe say guess
would it's the answer a ans final simply just exactly about approximately here you go your is i'd i'll um uh
probably likely maybe perhaps simple assistant bot ai
""")
AFTER_VALUE = _words("""
because since as so when where which that if i you we and or but in by not rather instead then now
left remaining altogether total again too obviously
""")
NAMES_ANSWER = ANSWER_NOUNS | SUM_NOUNS | _words("correct right")
UNITS = _words("""
% ° ms s sec secs second seconds millisecond milliseconds minute minutes min hour hours day days
week weeks month months year years am pm o'clock token tokens word words character characters byte
bytes kb mb gb percent
""")

DENIALS = _words("not never")
WRONG = _words("wrong incorrect false not")
HEDGES = _words("maybe perhaps possibly even is it it's be could might a about")
CORRECTIONS = _words("no wait actually sorry correction oops hmm scratch rather")
SPEAKERS = _words("question q user human problem exercise instruction you input")
