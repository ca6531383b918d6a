// Feeds what reads AWS' answers damaged ones: XML and JSON.
//
//     swift run -c release Fuzz aws --seconds 60
//
// What must never happen: a crash, or a tree that is larger than its text.

import AWS
import Bytes
import Kernel

enum AWSFuzz {
  private static let documents = [
    """
    <?xml version="1.0"?>
    <AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
    <AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>a/b+c</SecretAccessKey><SessionToken>t&amp;&#x41;</SessionToken>
    <Expiration>2026-11-21T05:44:36Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>
    """,
    """
    <Response><Errors><Error><Code>AuthFailure</Code><Message><![CDATA[no <b>]]></Message></Error></Errors></Response>
    """,
    """
    <DescribeInstancesResponse xmlns='http://ec2.amazonaws.com/doc/2016-11-15/'><!-- x --><reservationSet><item a="b"/>
    <item><instancesSet><item><instanceId>i-1</instanceId><tagSet><item><key>Name</key><value>a</value></item></tagSet>
    </item></instancesSet></item></reservationSet></DescribeInstancesResponse>
    """,
    #"{"Code": "Success", "AccessKeyId": "ASIA", "SecretAccessKey": "x", "Token": "t", "Expiration": "2026-11-21T09:00:00Z"}"#,
    #"{"clusterArns": ["arn:aws:ecs:us-east-1:1:cluster/a"], "nextToken": null}"#,
  ].map { Array($0.utf8) }

  static func run(_ seconds: Int, _ seed: UInt64) async throws {
    var mutator = Mutator(seed: seed)
    let files = documents.map { WorkingCopy.File(path: "", content: $0) }
    let end = MonotonicClock.now + UInt64(max(seconds, 0)) * 1_000_000_000
    var rounds = 0
    var whole = 0
    while MonotonicClock.now < end {
      let text = mutator.mutate(documents[mutator.next(below: documents.count)], beside: files)
      if let element = try? XMLElement(parsing: text.span.bytes) {
        whole += 1
        precondition(size(element) <= text.count)
      }
      if (try? JSONValue(parsing: text.span.bytes)) != nil { whole += 1 }
      _ = Timestamp(iso8601: String(decoding: text.prefix(30), as: UTF8.self))
      _ = Timestamp(httpDate: String(decoding: text.prefix(30), as: UTF8.self))
      rounds += 1
    }
    print("\(rounds) documents, \(whole) of them well-formed")
  }

  /// Bytes of names and texts that came out of the document's own.
  private static func size(_ element: XMLElement) -> Int {
    element.children.reduce(element.name.utf8.count) { $0 + size($1) }
  }
}
