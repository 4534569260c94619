import ModelCore

/// A YOLOv5 model as its description gives it: which layers, from where, how often, scaled by two multiples.
struct YOLOv5Configuration: Sendable {
  /// A line of the backbone or head.
  struct Layer: Sendable {
    /// One source, or several in a list.
    let from: [Int]
    let isFromList: Bool
    let repeats: Int
    let module: String
    let arguments: [YOLOv5Argument]
    /// Where it stands in a file; nil for a built-in model.
    var line: Int?

    init(
      from: [Int], isList: Bool? = nil, _ repeats: Int, _ module: String, _ arguments: [YOLOv5Argument],
      line: Int? = nil
    ) {
      (self.from, isFromList, self.repeats, self.module) = (from, isList ?? (from.count > 1), repeats, module)
      (self.arguments, self.line) = (arguments, line)
    }
  }

  enum Anchors: Sendable {
    /// Widths and heights in pixels, a list for each level.
    case sizes([[Double]])
    /// Only their number, for each level.
    case count(Int)

    var perLevel: Int {
      switch self {
      case .sizes(let levels): (levels.first?.count ?? 0) / 2
      case .count(let count): count
      }
    }
  }

  var classes: Int
  let depthMultiple: Double
  let widthMultiple: Double
  let anchors: Anchors
  var channels = 3
  var activation: YOLOv5Activation?
  var isInPlace = true
  /// The file that it comes from, without its folder.
  var file: String?
  /// The file's entries; nil for a built-in model.
  var description: OrderedDictionary<String, Attribute>?
  let backbone: [Layer]
  let head: [Layer]

  var layers: [Layer] { backbone + head }
  /// What a detector gives for each cell: for every anchor a box, whether there is an object, and the classes.
  var outputCount: Int { anchors.perLevel * (classes + 5) }

  static let layerLimit = 1000
  static let repeatLimit = 1000
  static let channelLimit = 1 << 20
}

// MARK: From YAML

extension YOLOv5Configuration {
  /// Whether a file's bytes look like such a description: text with the lines `backbone:` and `head:`.
  static func recognizes(_ bytes: some Collection<UInt8>) -> Bool {
    guard bytes.count <= YAMLDocument.sizeLimit, !bytes.contains(0) else { return false }
    var found: Set<String> = []
    for line in bytes.split(separator: UInt8(ascii: "\n")) {
      for key in ["backbone:", "head:"] where line.starts(with: key.utf8) { found.insert(key) }
    }
    return found.count == 2
  }

  /// - Throws: `ModelError` that names the line.
  init(yaml bytes: some Collection<UInt8>) throws {
    let root = try YAMLDocument(bytes).root
    guard let entries = root.entries else {
      throw ModelError(.malformed, "is no mapping of names to values", subject: "line 1")
    }
    func required(_ key: String) throws -> YAMLNode {
      guard let node = entries[key] else { throw ModelError(.malformed, "has no '\(key)'") }
      return node
    }
    func number(_ key: String, _ range: ClosedRange<Double>) throws -> Double {
      let node = try required(key)
      switch try YOLOv5Argument(node) {
      case .int(let value) where range.contains(Double(value)): return Double(value)
      case .double(let value) where range.contains(value): return value
      default:
        throw ModelError(
          .malformed,
          "'\(key)' must be a number from \(range.lowerBound) to \(range.upperBound)", subject: "line \(node.line)")
      }
    }
    func integer(_ key: String, _ range: ClosedRange<Int>) throws -> Int {
      let node = try required(key)
      guard case .int(let value) = try YOLOv5Argument(node), range.contains(value) else {
        throw ModelError(
          .malformed,
          "'\(key)' must be a whole number from \(range.lowerBound) to \(range.upperBound)",
          subject: "line \(node.line)")
      }
      return value
    }
    classes = try integer("nc", 1...1 << 20)
    depthMultiple = try number("depth_multiple", 0...100)
    widthMultiple = try number("width_multiple", 0...100)
    anchors = try Anchors(try required("anchors"))
    if entries["ch"] != nil { channels = try integer("ch", 1...Self.channelLimit) }
    if let node = entries["activation"], try YOLOv5Argument(node) != .none {
      guard case .activation(let activation) = try YOLOv5Argument(node) else {
        throw ModelError(.malformed, "'activation' must be written as nn.SiLU()", subject: "line \(node.line)")
      }
      self.activation = activation
    }
    if let node = entries["inplace"] {
      guard case .bool(let value) = try YOLOv5Argument(node) else {
        throw ModelError(.malformed, "'inplace' must be true or false", subject: "line \(node.line)")
      }
      isInPlace = value
    }
    description = entries.mapValues(\.attribute)
    backbone = try Self.layers(try required("backbone"))
    head = try Self.layers(try required("head"))
    guard (1...Self.layerLimit).contains(backbone.count + head.count) else {
      throw ModelError(.limit, "has \(backbone.count + head.count) layers; from 1 to \(Self.layerLimit) are built")
    }
  }

  private static func layers(_ node: YAMLNode) throws -> [Layer] {
    guard let rows = node.items else {
      throw ModelError(.malformed, "a list of layers is expected", subject: "line \(node.line)")
    }
    return try rows.map(Layer.init)
  }
}

extension YOLOv5Configuration.Layer {
  fileprivate init(_ node: YAMLNode) throws {
    let refusal = ModelError(.malformed, "a layer is [from, number, module, [arguments]]", subject: "line \(node.line)")
    guard let parts = node.items, parts.count == 4, let module = parts[2].text, let arguments = parts[3].items,
      case .int(let repeats) = try YOLOv5Argument(parts[1])
    else { throw refusal }
    guard (1...YOLOv5Configuration.repeatLimit).contains(repeats) else {
      throw ModelError(
        .limit,
        "a layer is repeated \(repeats) times; from 1 to \(YOLOv5Configuration.repeatLimit) are built",
        subject: "line \(node.line)")
    }
    let from: [YOLOv5Argument]
    var isList = false
    switch try YOLOv5Argument(parts[0]) {
    case .list(let items): (from, isList) = (items, true)
    case let single: from = [single]
    }
    let sources = from.compactMap { if case .int(let value) = $0 { value } else { nil } }
    guard sources.count == from.count, (1...1000).contains(sources.count) else { throw refusal }
    self.init(
      from: sources, isList: isList, repeats, module, try arguments.map(YOLOv5Argument.init), line: node.line)
  }
}

extension YOLOv5Configuration.Anchors {
  /// A number, or for each level a list of widths and heights.
  fileprivate init(_ node: YAMLNode) throws {
    let refusal = ModelError(
      .malformed,
      "'anchors' must be a number, or for each level a list of as many widths and heights", subject: "line \(node.line)"
    )
    switch try YOLOv5Argument(node) {
    case .int(let count) where (1...1000).contains(count): self = .count(count)
    case .list(let levels):
      let sizes = try levels.map { level in
        guard case .list(let numbers) = level else { throw refusal }
        return try numbers.map { number in
          switch number {
          case .int(let value): return Double(value)
          case .double(let value): return value
          default: throw refusal
          }
        }
      }
      guard let first = sizes.first, !first.isEmpty, first.count % 2 == 0, first.count <= 2000, sizes.count <= 1000,
        sizes.allSatisfy({ $0.count == first.count })
      else { throw refusal }
      self = .sizes(sizes)
    default: throw refusal
    }
  }
}
