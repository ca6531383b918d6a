// A file of `file_sd_configs`.

import Bytes
import Configuration
import YAML

package enum TargetFile {
  /// The groups of a file, all of them or none; each has the label `__meta_filepath`.
  package static func read(_ path: String) throws(TargetListFault) -> [TargetGroup] {
    let text: [UInt8]
    do throws(FileFault) {
      text = try WholeFile.readRegular(path, limit: TargetList.sizeLimit)
    } catch {
      throw TargetListFault(reason: error.reason)
    }
    return try parse(text, path: path)
  }

  static func parse(_ text: [UInt8], path: String) throws(TargetListFault) -> [TargetGroup] {
    try TargetList.parse(
      text, path.lowercased().hasSuffix(".json") ? .json : .yaml, source: path,
      label: ConfiguredLabel(name: "__meta_filepath", value: path))
  }
}
