import ModelCore

/// An argument of a layer in a YOLOv5 description: data, where the original evaluates Python.
indirect enum YOLOv5Argument: Sendable, Hashable {
  case none
  case bool(Bool)
  case int(Int)
  case double(Double)
  case string(String)
  case list([YOLOv5Argument])
  /// The number of classes, the anchors, the anchors of a level, the outputs of a detector: names that the original's
  /// parser knows.
  case variable(Variable)
  /// `nn.SiLU()` and its like.
  case activation(YOLOv5Activation)

  enum Variable: String, Sendable {
    case classes = "nc"
    case anchors
    case anchorCount = "na"
    case outputCount = "no"
  }

  /// - Throws: `ModelError` with the line for what is no such value.
  init(_ node: YAMLNode) throws {
    switch node.value {
    case .sequence(let items): self = .list(try items.map(YOLOv5Argument.init))
    case .mapping: throw ModelError(.malformed, "a mapping is no argument of a layer", subject: "line \(node.line)")
    case .scalar(let text): self = try Self.value(of: text, line: node.line)
    }
  }

  private static func value(of text: String, line: Int) throws -> YOLOv5Argument {
    switch text {
    case "", "~", "null", "Null", "NULL", "None": return .none
    case "true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON": return .bool(true)
    case "false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF": return .bool(false)
    default: break
    }
    if let number = number(text) { return number }
    if let variable = Variable(rawValue: text) { return .variable(variable) }
    if text.hasPrefix("nn.") {
      do { return .activation(try YOLOv5Activation(text)) } catch let error as ModelError {
        throw error.about("line \(line)")
      }
    }
    guard text.utf8.count <= 64, text.utf8.allSatisfy({ isLetter($0) || $0 == UInt8(ascii: "-") }) else {
      throw ModelError(
        .malformed,
        "'\(text.printable(limit: 60))' is no number, name or list; expressions are not evaluated",
        subject: "line \(line)")
    }
    return .string(text)
  }

  private static func isLetter(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) || byte == UInt8(ascii: "_")
  }

  /// A decimal number in the spelling that YAML and Python share.
  static func number(_ text: String) -> YOLOv5Argument? {
    let digits = text.utf8.drop { $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "+") }
    guard text.utf8.count - digits.count <= 1, text.utf8.count <= 32, let first = digits.first,
      (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) || first == UInt8(ascii: "."),
      text.utf8.allSatisfy({ "+-.0123456789eE".utf8.contains($0) })
    else { return nil }
    if digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) {
      // A leading zero would make it octal.
      guard digits.count == 1 || first != UInt8(ascii: "0") else { return nil }
      return Int(text).map { .int($0) }
    }
    return Double(text).flatMap { $0.isFinite ? .double($0) : nil }
  }

  /// As descriptions write it and a pickled model holds it in its `yaml`.
  var attribute: Attribute {
    switch self {
    case .none: .string("None")
    case .bool(let value): .bool(value)
    case .int(let value): .int(value)
    case .double(let value): .double(value)
    case .string(let text): .string(text)
    case .list(let items): .list(items.map(\.attribute))
    case .variable(let variable): .string(variable.rawValue)
    case .activation(let activation): .string(activation.text)
    }
  }
}

/// An activation as a description writes it: `nn.LeakyReLU(0.1)`.
struct YOLOv5Activation: Sendable, Hashable {
  let text: String
  let kind: Activation.Kind?
  let slope: Double?
  let isInPlace: Bool

  /// - Throws: `ModelError` for anything but one of PyTorch's activations with at most a slope and `inplace`.
  init(_ text: String) throws {
    let refusal = ModelError(
      .malformed,
      "'\(text.printable(limit: 60))' is no activation that is known; write it as nn.SiLU() or nn.LeakyReLU(0.1)")
    let bare = text.hasPrefix("torch.nn.") ? text.dropFirst(6) : Substring(text)
    guard bare.hasPrefix("nn."), bare.hasSuffix(")"), let open = bare.firstIndex(of: "(") else { throw refusal }
    let name = String(bare[bare.index(bare.startIndex, offsetBy: 3)..<open])
    kind = Activation.Kind(rawValue: name)
    guard (kind != nil && kind != .prelu && kind != .threshold) || name == "Identity" else { throw refusal }
    var (slope, isInPlace): (Double?, Bool) = (nil, false)
    let inside = bare[bare.index(after: open)...].dropLast()
    for (index, part) in inside.split(separator: ",").enumerated() {
      let words = part.split(separator: "=").map { String($0.filter { $0 != " " }) }
      switch (words.count, words.first ?? "") {
      case (2, "inplace") where words[1] == "True" || words[1] == "False": isInPlace = words[1] == "True"
      case (2, "negative_slope") where name == "LeakyReLU" && Double(words[1]) != nil: slope = Double(words[1])
      case (1, "True") where index == 0 && name != "LeakyReLU": isInPlace = true
      case (1, let number) where index == 0 && name == "LeakyReLU" && Double(number) != nil: slope = Double(number)
      default: throw refusal
      }
    }
    (self.text, self.slope, self.isInPlace) = (text, slope, isInPlace)
  }
}
