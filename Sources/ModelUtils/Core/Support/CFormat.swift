#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// C's number formatting, which Python's `%` operator shares.
package enum CFormat {
  /// `printf` into a string. `%s` pads by code points, as Python does, not by bytes; it takes a width and nothing else.
  /// A NaN has no sign.
  package static func string(_ format: String, _ arguments: any Sendable...) -> String {
    var result = ""
    var rest = arguments[...]
    var template = format[...]
    while let percent = template.firstIndex(of: "%") {
      result += template[..<percent]
      guard
        let end = template[percent...].firstIndex(where: {
          $0 == "s" || $0 == "g" || $0 == "f" || $0 == "e" || $0 == "d"
        })
      else { break }
      let specification = String(template[percent...end])
      switch rest.popFirst() {
      case let text as String:
        let width = Int(specification.dropFirst().dropLast()) ?? 0
        result += String(repeating: " ", count: max(0, width - text.unicodeScalars.count)) + text
      case let number as Double: result += formatted(specification, number.isNaN ? .nan : number)
      case let number as Int: result += formatted(specification.dropLast() + "ld", number)
      default: break
      }
      template = template[template.index(after: end)...]
    }
    return result + template
  }

  private static func formatted(_ specification: String, _ value: any CVarArg) -> String {
    withVaList([value]) { list in
      withUnsafeTemporaryAllocation(of: CChar.self, capacity: 400) { buffer in
        let length = vsnprintf(buffer.baseAddress!, buffer.count, specification, list)
        let bytes = buffer.prefix(max(0, min(Int(length), buffer.count - 1)))
        return String(decoding: bytes.lazy.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      }
    }
  }
}
