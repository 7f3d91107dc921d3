"""What to do about a benchmark: a function of what is seen. No clock, no network, no memory.

`decide(situation)` is the whole of it. `runs` knows which run it is, `begin` what is checked before one, `settled` what
was settled when it began, `launches` what the launch at hand needs, `teardown` what is taken down, `pods` what the pods
of a model tell, `benches` what became of its bench pod, `statuses` and `conditions` how that is said, `stories` which
events tell it, `annotated` what Grafana is told of it.
"""

from perbench_operator.decide.runs import decide
from perbench_operator.decide.situation import Action, Decision, Situation

__all__ = ["Action", "Decision", "Situation", "decide"]
