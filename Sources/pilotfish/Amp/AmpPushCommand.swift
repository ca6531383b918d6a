import Exposition
import RemoteWrite
import Workspaces

/// `pilotfish amp push`: writes samples by hand.
enum AmpPushCommand {
  static let usage = """
    usage: pilotfish amp push [<flags>] SERIES VALUE
           pilotfish amp push [<flags>] < METRICS

    Writes one sample, pilotfish amp push 'name{label="x"}' 1.5, or those of an exposition in the text format, which is
    read from standard input; only its samples are written. external_labels are not added.
    Ends with 0, with 1 when it fails, with 2 when the command line is not understood.

      --time=TIME            Of samples without a time of their own: RFC 3339 or Unix seconds; by default now.
      --curl                 Show the signed request as a command for a shell, and do not send it.
      --show-token           With --curl: with the session token, which is a secret.

    \(AmpSession.sourceUsage)
    """

  static func run(_ arguments: [String]) async -> Int32 {
    await AmpSession.run(arguments, usage: usage, switches: ["--curl", "--show-token"], values: ["--time"]) { session in
      let samples = try samples(session.given)
      guard !samples.isEmpty else { throw CheckFault("there are no samples to push") }
      var pushed = 0
      let bodies = try WriteRequests(samples).bodies
      for body in bodies {
        let request = session.workspace.push(body)
        guard !session.given.has("--curl") else {
          _ = try await session.showCurl(request)
          continue
        }
        do throws(WorkspaceFault) {
          let status = try await session.workspace.send(request).status
          // The standby of an HA pair: AMP has thrown the samples away.
          if status == 202 {
            Console.complain("pilotfish: status 202: not stored, as another replica of the cluster is the leader")
          }
          pushed += 1
        } catch {
          throw CheckFault(
            bodies.count == 1 ? "\(error)" : "\(pushed) of \(bodies.count) requests were taken: \(error)")
        }
      }
      if pushed > 0 { print("\(samples.count) \(samples.count == 1 ? "sample" : "samples") pushed") }
      return ExitStatus.success
    }
  }

  private static func samples(_ given: CommandArguments) throws -> [WriteRequests.Sample] {
    var time = QueryTime(milliseconds: WallClock.milliseconds)
    do throws(QueryFault) {
      if let text = given.value("--time") { time = try QueryTime(text) }
    } catch {
      throw UsageFault("\(error)")
    }
    switch given.plain.count {
    case 0:
      return try PushText.samples(Console.standardInput(), time: time.milliseconds)
    case 2:
      do throws(ExpositionError) {
        return [try PushText.sample(given.plain[0], given.plain[1], time: time.milliseconds)]
      } catch {
        throw UsageFault("\(error)")
      }
    default: throw UsageFault("expected a series and its value, or nothing and an exposition on standard input")
    }
  }
}
