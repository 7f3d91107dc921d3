"""From a request to the plan of its answer, by one script. Pure."""

from dataclasses import dataclass, field
from functools import lru_cache
from random import Random

from perbench.api.models import Protocol
from perbench_bench.truth.asked import Asked
from perbench_bench.truth.faults import draw, reshape, spoil
from perbench_bench.truth.pace import Pace, chunk_sizes
from perbench_bench.truth.plan import Plan, split, with_comments
from perbench_bench.truth.rendering import STREAM_HEADS, Renderer, Shape
from perbench_bench.truth.script import Moment, Script, Usage


@dataclass(frozen=True, slots=True)
class Layout:
    """What all answers of one shape share."""

    early: bytes
    writes: tuple[bytes, ...]
    tokens: tuple[int, ...]
    end_step: bool
    """The last write is due one gap after the last chunk."""
    last_of_group: tuple[int, ...] | None
    """Where chunks wait for each other: which chunk's time each write has."""


@dataclass
class Planner:
    """Plans the answers of one script, one request after the other."""

    script: Script
    renderer: Renderer = field(init=False)

    def __post_init__(self) -> None:
        script = self.script
        self.renderer = Renderer(script)
        self._pace = Pace(script.timing, script.seed)
        self._random = Random(script.seed + 1)
        self._number = 0
        self._layout = lru_cache(maxsize=256)(self._lay_out)
        self._rare_layout = lru_cache(maxsize=4)(self._lay_out)
        self._cuts_writes = bool(script.stream.split_at or script.stream.split_in_character)
        self.faults_on = True

    def plan(self, asked: Asked) -> Plan:
        """The answer to the next request."""
        number = self._number
        self._number += 1
        shape = self.shape(asked)
        fault = draw(self.script.faults, number, self._random) if self.script.faults and self.faults_on else None
        if fault is None:
            layout = self._layout(shape)
        else:
            shape = reshape(shape, fault.kind)
            layout = self._rare_layout(shape)
        plan = self._timed(shape, layout)
        if self.script.stream.comments_ms:
            plan = with_comments(plan, self.script.stream.comments_ms, self.renderer.comment)
        if fault is not None:
            plan = spoil(plan, fault, self.renderer, asked.protocol)
        return split(plan, self.script.stream) if self._cuts_writes else plan

    def shape(self, asked: Asked) -> Shape:
        """What the answer to a request looks like."""
        script, answer = self.script, self.script.answer
        own_end = answer.tokens if answer.tokens is not None and not asked.ignore_eos else None
        end_tokens = 1 if answer.counts_end_token else 0
        stops = own_end is not None and own_end + end_tokens <= asked.limit
        tokens = own_end if own_end is not None and stops else asked.limit
        prompt_tokens = max(1, round(script.prompt.offset + script.prompt.slope * asked.words))
        share, usage = answer.cached_share, answer.usage
        asked_for = usage in {Usage.AS_ASKED, Usage.STRICT}
        return Shape(
            protocol=asked.protocol,
            sizes=chunk_sizes(answer, tokens),
            texts=answer.texts,
            counted=tokens + (end_tokens if stops else 0),
            stops=stops,
            prompt_tokens=prompt_tokens,
            cached_tokens=None if share is None else int(share * prompt_tokens),
            usage_at_end=asked.wants_usage if asked_for else usage is not Usage.NEVER,
            usage_always=asked.wants_usage and asked.wants_continuous if asked_for else usage is Usage.CONTINUOUS,
        )

    def _lay_out(self, shape: Shape) -> Layout:
        rendered, group = self.renderer.answer(shape), self.script.stream.chunks_per_write
        writes, tokens = rendered.writes, shape.sizes
        end_step = len(writes) > len(tokens)
        if end_step:
            tokens = (*tokens, 0)
        writes = (*writes[:-1], writes[-1] + rendered.tail)
        if group == 1:
            return Layout(rendered.early, writes, tokens, end_step, None)
        starts = range(0, len(writes), group)
        return Layout(
            rendered.early,
            tuple(b"".join(writes[at : at + group]) for at in starts),
            tuple(sum(tokens[at : at + group]) for at in starts),
            end_step,
            tuple(min(at + group, len(writes)) - 1 for at in starts),
        )

    def _timed(self, shape: Shape, layout: Layout) -> Plan:
        offsets = self._pace.offsets(shape.sizes, end_step=layout.end_step)
        if layout.last_of_group:
            offsets = tuple(offsets[chunk] for chunk in layout.last_of_group)
        plan = Plan(
            writes=layout.writes, offsets=offsets, tokens=layout.tokens, output_tokens=shape.counted,
            prompt_tokens=shape.prompt_tokens, cached_tokens=shape.cached_tokens, stops=shape.stops,
        )  # fmt: skip
        self._add_head(plan, shape.protocol, layout.early)
        return plan

    def _add_head(self, plan: Plan, protocol: Protocol, early: bytes) -> None:
        """Headers and role at the moment the script gives each; the role is never before the headers."""
        stream = self.script.stream
        for moment, data in ((stream.headers, STREAM_HEADS[protocol]), (stream.role, early)):
            if moment is Moment.AT_ONCE:
                plan.at_arrival += data
            elif moment is Moment.WITH_SLOT:
                plan.at_turn += data
            elif data:
                plan.writes = (data + plan.writes[0], *plan.writes[1:])
