import ModelCore

/// An address of the web, as far as a download needs to understand it.
struct WebAddress {
  let text: String
  let isSecure: Bool

  /// - Throws: `ModelError` for what is not http or https.
  init(_ text: String) throws {
    let scheme = text.prefix(8).lowercased()
    isSecure = scheme.hasPrefix("https://")
    self.text = text
    guard isSecure || scheme.hasPrefix("http://") else {
      throw ModelError(.invalid, "is no address of http or https", file: Self.shown(text))
    }
    guard !text.utf8.contains(where: { $0 <= 32 || $0 == 127 }) else {
      throw ModelError(.invalid, "holds a space or a control character", file: Self.shown(text))
    }
  }

  /// For messages: without a password.
  var shown: String { Self.shown(text) }

  private static func shown(_ text: String) -> String {
    guard let scheme = text.firstRange(of: "://") else { return text }
    let authority = text[scheme.upperBound...].prefix { !"/?#".contains($0) }
    guard let at = authority.lastIndex(of: "@") else { return text }
    return String(text[..<scheme.upperBound] + text[text.index(after: at)...])
  }

  /// The last component of the path, which names the file.
  /// - Throws: `ModelError` where there is none that can be a file's name.
  func fileName() throws -> String {
    let rest = text.firstRange(of: "://").map { text[$0.upperBound...] } ?? text[...]
    let components = rest.prefix { !"?#".contains($0) }.split(separator: "/", omittingEmptySubsequences: false)
    let name = components.count > 1 ? String(components[components.count - 1]) : ""
    guard !name.isEmpty, name.first != ".", name.utf8.count <= 200 else {
      throw ModelError(.invalid, "names no file", file: shown, advice: "the address must end in a file's name")
    }
    return name
  }
}
