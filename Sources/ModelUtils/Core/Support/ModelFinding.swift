/// One thing that a look at a model found.
public struct ModelFinding: Sendable, Codable, Hashable {
  /// How bad it is.
  public enum Severity: String, Sendable, Codable {
    /// Good to know.
    case info
    /// Programs may stumble over it.
    case warning
    /// What the model computes is of no use, or nothing reads it.
    case broken
  }

  /// How bad it is.
  public let severity: Severity
  /// The tensor, module, node or value.
  public let name: String
  /// What is wrong, in words.
  public let what: String

  /// A finding about a part of a model.
  public init(severity: Severity, name: String, what: String) {
    self.severity = severity
    self.name = name
    self.what = what
  }
}
