import ModelCore

extension YAMLNode {
  /// The value as Python's `yaml.safe_load` gives it; opaque where a plain scalar may be one of the rarer numbers and
  /// dates of YAML.
  var attribute: Attribute {
    switch value {
    case .sequence(let items): return .list(items.map(\.attribute))
    case .mapping(let entries):
      return .dict(
        entries.map { key, node in
          let isText = Self.plain(key) == .string(key)
          return .init(
            key: isText ? .string(key) : .opaque("the key \(key.printable(limit: 40))"), value: node.attribute)
        })
    case .scalar(let text): return isQuoted ? .string(text) : Self.plain(text)
    }
  }

  private static func plain(_ text: String) -> Attribute {
    switch text {
    case "", "~", "null", "Null", "NULL": return .none
    case "true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON": return .bool(true)
    case "false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF": return .bool(false)
    default: break
    }
    guard let first = text.utf8.first, "+-.0123456789=<".utf8.contains(first) else { return .string(text) }
    switch YOLOv5Argument.number(text) {
    case .int(let value): return .int(value)
    case .double(let value) where first != UInt8(ascii: ".") && !text.utf8.contains { $0 | 0x20 == UInt8(ascii: "e") }:
      return .double(value)
    default: return .opaque(text.printable(limit: 40))
    }
  }
}
