/// What the pages of `Answers` are to be.
enum Golden {
  static let fargate = ""
  static let bridge = ""
  static let fargateECS = ""
  static let bridgeECS = ""
}
