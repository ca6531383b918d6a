import Testing

@testable import Kernel

private func mounts(_ text: String) -> [Mount] { Mount.all(in: text.utf8.span.bytes) }

@Suite struct MountsTests {
  @Test(arguments: [
    ("36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw", "/mnt2", "ext3", "/dev/root", false),
    ("36 35 98:0 /mnt1 /a\\040b\\011c\\012d rw - tmpfs tmpfs ro,size=1", "/a b\tc\\012d", "tmpfs", "tmpfs", true),
    ("36 35 98:0 / /m ro,nosuid shared:1 master:2 - a - b", "/m", "a", "-", true),
  ])
  func readsALine(_ line: String, _ point: String, _ type: String, _ source: String, _ isReadOnly: Bool) {
    let mount = mounts(line).first
    #expect(mount?.mountPoint == Array(point.utf8))
    #expect(mount?.type == Array(type.utf8))
    #expect(mount?.source == Array(source.utf8))
    #expect(mount?.isReadOnly == isReadOnly)
    #expect(mount?.major == 98)
  }

  @Test(arguments: ["", "36 35 98:0 /mnt1", "36 35 98:0 / /m rw shared:1 -", "36 35 98 / /m rw - a b c", "x y z"])
  func leavesOutWhatIsNoMount(_ line: String) {
    #expect(mounts(line + "\n1 1 1:1 / / rw - a b rw\n").count == 1)
  }

  @Test func survivesAnything() {
    let line = Array("36 35 98:0 /mnt1 /a\\040b rw,noatime master:1 - ext3 /dev/root rw\n".utf8)
    var state: UInt64 = 7
    for _ in 0..<20000 {
      var bytes = line
      for _ in 0..<3 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        let place = Int(state >> 33) % bytes.count
        if state & 0x10000 == 0 {
          bytes.remove(at: place)
        } else {
          bytes[place] = UInt8(truncatingIfNeeded: state >> 20)
        }
      }
      #expect(Mount.all(in: bytes.span.bytes).count <= 3)
    }
  }
}
