"""What is asked of a contender: how many calls, from how many threads, how fast, and what the server does meanwhile."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Scenario:
    """One way to log.

    Attributes:
        calls: of the full version; a contender may have a limit of its own.
        short: calls of the short version.
        threads: that log at the same time, each its share.
        rate: calls a second; 0 for as fast as it goes.
        tick: seconds for which the paced caller sleeps at a time; the calls of one tick follow one another.
        latency: seconds before each of the server's answers.
        fault: what every third request meets; see `sink.py`.
        down: nothing listens at the address.
        stalled: connections are taken there, and never answered.
        critical: contenders that distinguish them log critical records.
        finishes: the program calls `finish`; else it just ends.
        lazy: make the data while logging, so that prepared data does not hide what the contender takes.
    """

    name: str
    calls: int
    short: int
    threads: int = 1
    rate: int = 0
    tick: float = 0.0
    latency: float = 0.0
    fault: str = ""
    down: bool = False
    stalled: bool = False
    critical: bool = False
    finishes: bool = True
    lazy: bool = False

    @property
    def dead(self) -> bool:
        """Tell whether nothing can be delivered."""
        return self.down or self.stalled


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("burst1", 200_000, 200_000),
        Scenario("burst8", 200_000, 200_000, threads=8),
        Scenario("paced", 20_000, 6_000, rate=2_000),
        Scenario("memory", 1_000_000, 1_000_000, lazy=True),
        Scenario("exit", 2_000, 2_000, finishes=False),
        Scenario("slow20", 200_000, 200_000, latency=0.02),
        Scenario("slow100", 200_000, 200_000, latency=0.1),
        Scenario("faults", 20_000, 12_000, rate=1_000, tick=0.01, fault="mixed", critical=True),
        Scenario("down", 200_000, 200_000, down=True, lazy=True),
        Scenario("stalled8", 1_000_000, 400_000, threads=8, stalled=True, lazy=True),
    )
}


def named(names: str) -> list[str]:
    """Expand a list such as `burst1,slow`: a name stands for all scenarios that begin with it, unless it is one."""
    found = []
    for name in names.split(","):
        matching = [name] if name in SCENARIOS else [full for full in SCENARIOS if full.startswith(name)]
        if not matching:
            raise SystemExit(f"no such scenario: {name}; there are {', '.join(SCENARIOS)}")
        found += matching
    return found
