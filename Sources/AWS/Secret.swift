/// A text that must not be seen: a key, a token. Whatever prints it shows `<secret>`.
public struct Secret: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  /// The text itself, for a signature or a header.
  public let text: String

  public init(_ text: String) { self.text = text }

  public var description: String { "<secret>" }
  public var debugDescription: String { "<secret>" }
  public var customMirror: Mirror { Mirror(reflecting: "<secret>") }
}
