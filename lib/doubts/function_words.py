"""English words that carry no fact: articles, pronouns, prepositions, auxiliaries, and what sentences open with."""

from __future__ import annotations

_FUNCTION_WORDS = """
a about above according across actually additionally after again against ago all almost alone along already also
although always am among an and another any anyone anything are around as at away back basically be because become
becomes been before behind being below besides between beyond both but by can cannot can't certainly come comes
consequently could currently despite did didn't do does doesn't doing don't done down due during each either else
especially essentially etc even ever every everyone everything except few finally first firstly for from further
furthermore generally get gets give given gives go goes had has hasn't have haven't having he hello hence her here
hers herself hi him himself his how however i i'd i'll i'm i've if in indeed initially instead into is isn't it it's
its itself just kindly last lastly later least less let let's like likely made mainly make makes many may maybe me
meanwhile might mine more moreover most mostly much must my myself namely near nearly neither never nevertheless next
no nobody none nonetheless nor not note nothing notably now of off often oh ok okay on once one ones only onto or
originally other others otherwise our ours ourselves out over overall own particularly per perhaps please possibly
potentially previously probably quite rather really recently regarding same says second secondly see seem seems
several shall she should similarly simply since so some somebody someone something sometimes soon sorry specifically
still such sure take takes than thank thanks that that's the their theirs them themselves then there there's
therefore these they they're think third this those though through throughout thus to today together too toward
towards typically ultimately under unfortunately unless unlike until up upon us use used uses using usually various
very via was wasn't we we're well were weren't what whatever when whenever where whereas wherever whether which while
who whoever whom whose why will with within without won't would yes yet you you're your yours yourself
"""
# Left out are those that mostly do not count: one, first, second.
_NUMBER_WORDS = """
zero two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion trillion dozen
fourth fifth sixth seventh eighth ninth tenth twice
"""
_MONTHS = """
january february march april may june july august september october november december
jan feb mar apr jun jul aug sep sept oct nov dec
"""
_PARTICLES = "of the de da do dos du del della di la le les el al bin ibn van von der den ter"

_ABBREVIATIONS = "st dr mr mrs ms jr sr prof gen col capt lt mt ft rev sen rep no vs inc co corp ltd"

FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
NUMBER_WORDS = frozenset(_NUMBER_WORDS.split())  # numbers that are spelled out
MONTHS = frozenset(_MONTHS.split())
PARTICLES = frozenset(_PARTICLES.split())  # small words inside names: Bay of Bengal, Leonardo da Vinci
ABBREVIATIONS = frozenset(_ABBREVIATIONS.split())  # before names: St. Louis, Dr. Who
