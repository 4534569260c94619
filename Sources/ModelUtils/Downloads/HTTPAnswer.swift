import ModelCore

/// The head of an answer, line by line.
struct HTTPAnswer {
  private(set) var status = 0
  private(set) var reason = ""
  private var version = ""
  private var fields: [String: String] = [:]

  /// A status line begins a new answer, as after a proxy's own.
  mutating func add(_ line: String) {
    if line.hasPrefix("HTTP/") {
      let words = line.split(separator: " ", maxSplits: 2)
      self = HTTPAnswer()
      version = String(words[0])
      status = words.count > 1 ? Int(words[1]) ?? 0 : 0
      reason = words.count > 2 ? String(words[2]) : ""
    } else if let colon = line.firstIndex(of: ":") {
      let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
      fields[line[..<colon].lowercased()] = String(value)
    }
  }

  subscript(field: String) -> String? { fields[field] }

  var isRedirect: Bool { [301, 302, 303, 307, 308].contains(status) }

  /// How many bytes the body has; nil where that is not said.
  /// - Throws: `ModelError` for a length that is no number or beyond any.
  func length() throws -> Int? {
    guard let text = fields["content-length"] else { return nil }
    guard let length = Int(text), length >= 0 else {
      throw ModelError(.system, "the server gives the length as \(text), which is none")
    }
    return length
  }

  /// Whether the connection's end is all that ends the body, so that nobody can tell whether it came whole.
  var endsWithConnection: Bool {
    version.hasPrefix("HTTP/1") && fields["content-length"] == nil
      && fields["transfer-encoding"]?.lowercased().hasSuffix("chunked") != true
  }

  /// `bytes 17-99/100` or `bytes */100`: where the part begins, and how long the whole is; nil where it is not said or
  /// makes no sense.
  var range: (start: Int?, whole: Int?)? {
    guard let text = fields["content-range"], text.lowercased().hasPrefix("bytes ") else { return nil }
    let parts = text.dropFirst(6).split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2 else { return nil }
    let start = parts[0] == "*" ? nil : parts[0].split(separator: "-").first.flatMap { Int($0) }
    return (start, Int(parts[1]))
  }

  /// What tells this version of the file from any other: a strong entity tag, else the date of its last change.
  var validator: String? {
    if let tag = fields["etag"], tag.hasPrefix("\""), tag.utf8.count <= 256 { return tag }
    return fields["last-modified"].flatMap { $0.utf8.count <= 64 ? $0 : nil }
  }
}
