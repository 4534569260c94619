import ModelCore

/// Text and numbers in XML and HTML.
enum MarkupText {
  /// A text that means itself, between tags and in attributes with double or single quotes. What XML cannot hold
  /// becomes the replacement character.
  static func escaped(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "'": result += "&#39;"
      case "\t", "\n", "\r": result.unicodeScalars.append(scalar)
      case "\0"..<" ", "\u{7f}"..."\u{9f}", "\u{fffe}", "\u{ffff}": result.unicodeScalars.append("\u{fffd}")
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  /// A text of at most so many characters, the last of them `…` where something is missing.
  static func cut(_ text: String, to limit: Int) -> String {
    text.count > limit ? text.prefix(max(0, limit - 1)) + "…" : text
  }

  /// The same of a path, whose end tells most: its first character is `…` where something is missing.
  static func cutFront(_ text: String, to limit: Int) -> String {
    text.count > limit ? "…" + text.suffix(max(0, limit - 1)) : text
  }

  /// A place in a drawing, to a hundredth.
  static func place(_ value: Double) -> String {
    let hundredths = (value * 100).rounded() / 100
    guard hundredths != 0 else { return "0" }
    if hundredths == hundredths.rounded(), let whole = Int(exactly: hundredths) { return String(whole) }
    return hundredths.description
  }

  /// A number for people: six digits, as C's `%g`.
  static func number(_ value: Double) -> String { CFormat.string("%g", value) }

  /// A share for people: `12.3%`.
  static func percent(_ share: Double?) -> String { share.map { CFormat.string("%.1f", $0 * 100) + "%" } ?? "–" }

  /// Base64 of bytes.
  static func base64(_ bytes: [UInt8]) -> String {
    let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var text: [UInt8] = []
    text.reserveCapacity((bytes.count + 2) / 3 * 4)
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let group = bytes[start..<min(start + 3, bytes.count)]
      let bits = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
      for place in 0..<4 {
        text.append(place <= group.count ? digits[bits >> (18 - 6 * place) & 63] : UInt8(ascii: "="))
      }
    }
    return String(decoding: text, as: UTF8.self)
  }
}
