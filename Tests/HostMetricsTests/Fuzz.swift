import Glibc

/// How often property tests try: PILOTFISH_FUZZ_ROUNDS times, a few hundred if that is not set.
let fuzzRounds = getenv("PILOTFISH_FUZZ_ROUNDS").flatMap { Int(String(cString: $0)) } ?? 300
