# SPDX-License-Identifier: Apache-2.0
"""Prometheus' text format, read strictly."""
import re

SAMPLE = re.compile(r'([a-z_][a-z0-9_]*)(\{([a-z_]+="[^"\\\n]*"(?:,[a-z_]+="[^"\\\n]*")*)\})? (\S+)')


class Metrics:
    """samples: {'name{labels}': value}; types: {'name': 'counter'}."""

    def __init__(self, text):
        assert text.endswith("\n")
        self.samples, self.types, helped = {}, {}, set()
        current = None
        for line in text.splitlines():
            if line.startswith("# HELP "):
                name, words = line[7:].split(" ", 1)
                assert words and name not in helped, line
                helped.add(name)
            elif line.startswith("# TYPE "):
                current, kind = line[7:].split(" ")
                assert current in helped and current not in self.types, line
                self.types[current] = kind
            else:
                match = SAMPLE.fullmatch(line)
                assert match, line
                family = match[1]
                if self.types[current] == "histogram":
                    family = re.sub("_(bucket|sum|count)$", "", family)
                assert family == current, line
                assert match[1] + (match[2] or "") not in self.samples, line
                self.samples[match[1] + (match[2] or "")] = float(match[4])

    def __getitem__(self, name):
        return self.samples["instar_" + name]

    def counters(self):
        """All that must never fall: counters, and a histogram's parts."""
        found = {}
        for name, value in self.samples.items():
            family = name.split("{")[0]
            kind = self.types.get(family)
            if kind is None:
                kind = self.types[re.sub("_(bucket|sum|count)$", "", family)]
            if kind in ("counter", "histogram"):
                found[name] = value
        return found


def scrape(server, **more):
    answer = server.get("/metrics", **more)
    assert answer.status == 200, answer
    assert answer.get("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
    return Metrics(answer.text)
