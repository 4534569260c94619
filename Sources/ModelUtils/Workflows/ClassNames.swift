import ModelCore

/// What a model calls its classes.
public struct ClassNames: Sendable, Hashable {
  private let names: [Int: String]

  /// Names by the numbers of the classes.
  public init(_ names: [Int: String]) { self.names = names }

  /// Names in the order of the classes.
  public init(_ names: [String]) {
    self.init(Dictionary(uniqueKeysWithValues: names.enumerated().map { ($0, $1) }))
  }

  /// The attribute `names` of the outermost module that has it, a list of texts or a dict from numbers to texts, as
  /// YOLOv5 and Ultralytics keep it; none where there is none.
  public init(of model: Module) {
    var found: [Int: String]?
    model.forEachModule { _, module in
      if found == nil { found = module.attributes["names"].flatMap(Self.names) }
    }
    self.init(found ?? [:])
  }

  /// The names that there are, in the order of their classes.
  public var all: [(key: Int, value: String)] { names.sorted { $0.key < $1.key } }

  /// The name of a class; `class 3` where it has none.
  public subscript(index: Int) -> String { names[index] ?? "class \(index)" }

  private static func names(_ attribute: Attribute) -> [Int: String]? {
    switch attribute {
    case .list(let items), .tuple(let items):
      let texts = items.enumerated().compactMap { index, item in item.stringValue.map { (index, $0) } }
      return texts.isEmpty ? nil : Dictionary(uniqueKeysWithValues: texts)
    default:
      guard let entries = attribute.entriesValue else { return nil }
      let texts = entries.compactMap { entry in
        entry.key.intValue.flatMap { index in entry.value.stringValue.map { (index, $0) } }
      }
      return texts.isEmpty ? nil : Dictionary(texts, uniquingKeysWith: { first, _ in first })
    }
  }
}
