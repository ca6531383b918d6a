#!/usr/bin/env python3
"""End-to-end tests: pilotfish beside real parts, on loopback.

usage: run.py PILOTFISH [NAME ...]     without names: all tests

Each test starts what it needs, waits until it is ready, and stops it by pid. Needs Debian's `prometheus`. Some
tests need `nginx`, `dnsmasq-base` or moto as well, those of a misbehaving kernel and of name servers root; they say so
when they are skipped. KILLS=N in the environment: rounds of `kill -9`.
"""
import contextlib
import os
import shutil
import sys
import tempfile
import time

sys.dont_write_bytecode = True
import agent_tests  # noqa: E402
import amp_answers_tests  # noqa: E402
import amp_tests  # noqa: E402
import aws_tests  # noqa: E402
import client_tests  # noqa: E402
import configuration_tests  # noqa: E402
import cost_tests  # noqa: E402
import discovery_tests  # noqa: E402
import durability_tests  # noqa: E402
import ecs_tests  # noqa: E402
import federation_tests  # noqa: E402
import exporter_tests  # noqa: E402
import ha_tests  # noqa: E402
import kernel_tests  # noqa: E402
import kubernetes_tests  # noqa: E402
import moto_tests  # noqa: E402
import web_tests  # noqa: E402
from hostile import Skipped  # noqa: E402
from parts import Folder  # noqa: E402

TESTS = {
    name[len("test_"):]: test
    for module in (
        agent_tests, amp_answers_tests, amp_tests, aws_tests, client_tests, configuration_tests, cost_tests,
        discovery_tests, durability_tests, ecs_tests, exporter_tests, federation_tests, ha_tests, kernel_tests,
        kubernetes_tests, moto_tests, web_tests)
    for name, test in vars(module).items() if name.startswith("test_")}


def main():
    names = sys.argv[2:] or TESTS
    unknown = [name for name in names if name not in TESTS]
    if unknown:
        sys.exit(f"no such test: {', '.join(unknown)}")
    failed = skipped = 0
    for name in names:
        path = tempfile.mkdtemp(prefix="pilotfish-e2e.")
        start = time.monotonic()
        try:
            TESTS[name](Folder(path))
            print(f"ok   {name} ({time.monotonic() - start:.1f} s)", flush=True)
        except Skipped as e:
            skipped += 1
            print(f"skip {name}: {e}", flush=True)
        except Exception as e:
            failed += 1
            print(f"FAIL {name}: {type(e).__name__}: {str(e)[:2000]}", flush=True)
            for log in ("agent.log", "exporter.log"):
                with contextlib.suppress(OSError), open(os.path.join(path, log)) as f:
                    print(f.read()[-1500:])
        finally:
            shutil.rmtree(path, ignore_errors=True)
    print(f"{len(names) - failed - skipped} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
