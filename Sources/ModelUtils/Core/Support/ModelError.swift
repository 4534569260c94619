/// Why something could not be done: a value with the context a person needs, printed as one line.
public struct ModelError: Error, Sendable, Hashable, Codable, CustomStringConvertible {
  /// What kind of thing went wrong, for programs that decide by it.
  public enum Kind: String, Sendable, Codable, CaseIterable {
    /// A file, model, tensor, module or name is not there.
    case missing
    /// A file that would be replaced stands there.
    case exists
    /// A file or a description contradicts its own form: cut, damaged or forged.
    case malformed
    /// It may be valid, but is nothing that this library reads, knows or does.
    case unsupported
    /// Python would run commands or code if it loaded the file.
    case unsafe
    /// Things do not belong together: shapes, element types, names, numbers of tensors.
    case mismatch
    /// A bound on size, depth, memory or time is passed.
    case limit
    /// An argument is out of its range.
    case invalid
    /// The operating system, a driver or the network refused.
    case system
  }

  /// What kind of thing went wrong.
  public var kind: Kind
  /// The file, as its user named it.
  public var file: String?
  /// The byte offset in the file (or in the member of the archive that `reason` names).
  public var offset: Int?
  /// The tensor, module or key that is concerned.
  public var subject: String?
  /// What is wrong.
  public var reason: String
  /// What to do about it.
  public var advice: String?

  /// An error of a kind, with its reason as the rest of a sentence about the file or subject: `has no weight`.
  public init(
    _ kind: Kind, _ reason: String, file: String? = nil, offset: Int? = nil, subject: String? = nil,
    advice: String? = nil
  ) {
    self.kind = kind
    self.reason = reason
    self.file = file
    self.offset = offset
    self.subject = subject
    self.advice = advice
  }

  /// One line: `file: byte 17: subject: reason; advice`. Control characters of hostile names are escaped.
  public var description: String {
    var parts: [String] = []
    if let file { parts.append(file.printable()) }
    if let offset { parts.append("byte \(offset)") }
    // The root module has an empty path.
    if let subject, !subject.isEmpty { parts.append(subject.printable()) }
    parts.append(reason.printable(limit: 600))
    var line = parts.joined(separator: ": ")
    if let advice { line += "; \(advice.printable(limit: 600))" }
    return line
  }

  /// The same error, told of a file.
  public func inFile(_ name: String) -> ModelError {
    var error = self
    if error.file == nil { error.file = name }
    return error
  }

  /// The same error, told of a tensor, module or key.
  public func about(_ name: String) -> ModelError {
    var error = self
    if error.subject == nil { error.subject = name }
    return error
  }
}

extension String {
  /// The text on one line: control characters and line separators escaped, cut after `limit` characters.
  public func printable(limit: Int = 300) -> String {
    var text = ""
    for (count, scalar) in unicodeScalars.enumerated() {
      if count == limit { return text + "…" }
      switch scalar.properties.generalCategory {
      case .control, .lineSeparator, .paragraphSeparator, .format:
        text += "\\u{\(String(scalar.value, radix: 16))}"
      default: text.unicodeScalars.append(scalar)
      }
    }
    return text
  }
}
