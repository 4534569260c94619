import ModelCore

/// A YOLOv6 network as a YAML file describes it, where the original has a Python file that would have to be executed.
///
/// `family: yolov6`, `depth` and `width` must be there. What is left out is as YOLOv6n has it.
struct YOLOv6Configuration: Sendable {
  private(set) var network: YOLOv6Network
  private(set) var classes = 80

  /// How often a block may stand in a stage, and how many channels there may be.
  static let (repeatLimit, channelLimit) = (1000, 1 << 16)

  /// The keys, with the words in which the original's configuration says the same.
  private enum Key: String, CaseIterable {
    case family
    /// The number of classes.
    case classes
    /// `depth_multiple` and `width_multiple`.
    case depth, width
    /// `training_mode`: what a 3×3 block is.
    case mode
    /// `blocks`, `bepc3` or `mbla`: what blocks are combined to, the original's RepBlock, BepC3 and MBLABlock.
    case stage
    /// `csp_e`: what share of a stage's channels each of its branches has.
    case share
    /// `bifpan` or `pan`: whether levels meet in threes or in twos.
    case neck
    /// `cspsppf` or `sppf`.
    case pooling
    /// `use_dfl`.
    case distributions
    /// 3, or 4 as the P6 networks have.
    case levels
    /// `fuse_ab`.
    case anchorBranch = "anchor_branch"
    /// `num_repeats` and `out_channels` of the backbone, and of the neck.
    case blocks, channels
    case neckBlocks = "neck_blocks"
    case neckChannels = "neck_channels"
  }

  private enum Stage: String, CaseIterable { case blocks, bepc3, mbla }
  private enum Neck: String, CaseIterable { case bifpan, pan }
  private enum Pooling: String, CaseIterable { case cspsppf, sppf }

  /// Whether a file's bytes look like such a description: text with the line `family:`.
  static func recognizes(_ bytes: some Collection<UInt8>) -> Bool {
    guard bytes.count <= YAMLDocument.sizeLimit, !bytes.contains(0) else { return false }
    return bytes.split(separator: UInt8(ascii: "\n")).contains { $0.starts(with: "family:".utf8) }
  }

  /// - Throws: `ModelError` that names the line.
  init(yaml bytes: some Collection<UInt8>) throws {
    guard let entries = try YAMLDocument(bytes).root.entries else {
      throw ModelError(.malformed, "is no mapping of names to values", subject: "line 1")
    }
    for (name, node) in entries where Key(rawValue: name) == nil {
      throw ModelError(
        .malformed, "'\(name.printable(limit: 40))' is no key of a YOLOv6 network", subject: "line \(node.line)",
        advice: "the nearest are \(Key.allCases.map(\.rawValue).nearest(to: name))")
    }
    let values = Values(entries: entries)
    guard try values.text(.family) == "yolov6" else {
      throw ModelError(
        .unsupported, "'family' must be yolov6; YOLOv5's networks are described by 'backbone' and 'head'",
        subject: try values.place(.family))
    }
    classes = try values.integer(.classes, 1...1 << 20) ?? classes
    network = YOLOv6Network(
      depth: try values.number(.depth, 0...100), width: try values.number(.width, 0.001...100))
    network.mode = try values.word(.mode, YOLOv6Mode.self) ?? network.mode
    network.isLarge = try values.integer(.levels, 3...4) == 4
    try setStage(values)
    if let neck = try values.word(.neck, Neck.self) { network.isFusing = neck == .bifpan }
    if let pooling = try values.word(.pooling, Pooling.self) { network.poolsBesides = pooling == .cspsppf }
    network.predictsDistributions = try values.flag(.distributions) ?? false
    network.hasAnchorBranch = try values.flag(.anchorBranch) ?? false
    if network.isLarge {
      for (key, isSet) in [(Key.neck, !network.isFusing), (.anchorBranch, network.hasAnchorBranch)] where isSet {
        throw ModelError(
          .unsupported, "networks of 4 levels have a neck of bifpan and no branch of anchors",
          subject: try values.place(key))
      }
    }
    try setTables(values)
  }

  private mutating func setStage(_ values: Values) throws {
    let stage = try values.word(.stage, Stage.self) ?? .blocks
    let share = values.entries[Key.share.rawValue] == nil ? 0.5 : try values.number(.share, 0.125...1)
    switch stage {
    case .blocks:
      guard values.entries[Key.share.rawValue] == nil else {
        throw ModelError(
          .malformed, "'share' is of a stage's branches, which blocks have not", subject: try values.place(.share))
      }
    case .bepc3: network.stage = .bottlenecks(share: share)
    case .mbla:
      guard !network.isLarge else {
        throw ModelError(
          .unsupported, "networks of 4 levels have stages of blocks or bepc3", subject: try values.place(.stage))
      }
      network.stage = .layers(share: share)
    }
  }

  private mutating func setTables(_ values: Values) throws {
    let stages = network.isLarge ? 6 : 5
    let (blocks, channels) = (1...Self.repeatLimit, 1...Self.channelLimit)
    if let counts = try values.integers(.blocks, stages, blocks) { network.blocks = counts }
    if let counts = try values.integers(.channels, stages, channels) { network.backboneTable = counts }
    if let count = try values.integer(.neckBlocks, blocks) { network.neckBlocks = count }
    if let counts = try values.integers(.neckChannels, 6, channels) { network.neckTable = counts }
    let most = Double((network.blocks + [network.neckBlocks]).max() ?? 0) * network.depth
    guard most <= Double(Self.repeatLimit) else {
      throw ModelError(
        .limit, "a stage would have \(Int(most)) blocks; up to \(Self.repeatLimit) are built",
        subject: try values.place(.depth))
    }
    let widest = Double((network.backboneTable + network.neckTable).max() ?? 0) * network.width
    guard widest <= Double(Self.channelLimit) else {
      throw ModelError(
        .limit, "a stage would have \(Int(widest)) channels; up to \(Self.channelLimit) are built",
        subject: try values.place(.width))
    }
  }

  /// The file's entries, read as what they must be.
  private struct Values {
    let entries: OrderedDictionary<String, YAMLNode>

    func node(_ key: Key) throws -> YAMLNode {
      guard let node = entries[key.rawValue] else { throw ModelError(.malformed, "has no '\(key.rawValue)'") }
      return node
    }

    func place(_ key: Key) throws -> String { "line \(try node(key).line)" }

    private func refusal(_ key: Key, _ what: String) throws -> ModelError {
      ModelError(.malformed, "'\(key.rawValue)' must be \(what)", subject: try place(key))
    }

    func text(_ key: Key) throws -> String? { try node(key).text }

    /// A number that must be there.
    func number(_ key: Key, _ range: ClosedRange<Double>) throws -> Double {
      switch try YOLOv5Argument(node(key)) {
      case .int(let value) where range.contains(Double(value)): return Double(value)
      case .double(let value) where range.contains(value): return value
      default: throw try refusal(key, "a number from \(range.lowerBound) to \(range.upperBound)")
      }
    }

    func integer(_ key: Key, _ range: ClosedRange<Int>) throws -> Int? {
      guard let node = entries[key.rawValue] else { return nil }
      guard case .int(let value) = try YOLOv5Argument(node), range.contains(value) else {
        throw try refusal(key, "a whole number from \(range.lowerBound) to \(range.upperBound)")
      }
      return value
    }

    func integers(_ key: Key, _ count: Int, _ range: ClosedRange<Int>) throws -> [Int]? {
      guard let node = entries[key.rawValue] else { return nil }
      let refusal = try refusal(
        key, "a list of \(count) whole numbers from \(range.lowerBound) to \(range.upperBound)")
      guard case .list(let items) = try YOLOv5Argument(node), items.count == count else { throw refusal }
      return try items.map { item in
        guard case .int(let value) = item, range.contains(value) else { throw refusal }
        return value
      }
    }

    func flag(_ key: Key) throws -> Bool? {
      guard let node = entries[key.rawValue] else { return nil }
      guard case .bool(let value) = try YOLOv5Argument(node) else { throw try refusal(key, "true or false") }
      return value
    }

    func word<Word: RawRepresentable & CaseIterable>(_ key: Key, _ type: Word.Type) throws -> Word?
    where Word.RawValue == String {
      guard let node = entries[key.rawValue] else { return nil }
      guard let word = node.text.flatMap(Word.init) else {
        let words = Word.allCases.map(\.rawValue)
        throw try refusal(key, words.dropLast().joined(separator: ", ") + " or \(words.last ?? "")")
      }
      return word
    }
  }
}
