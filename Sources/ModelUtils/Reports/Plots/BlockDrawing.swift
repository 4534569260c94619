import ModelCore

/// Where the parts of a diagram lie.
struct BlockDrawing {
  static let (left, blockWidth, smallWidth, gap) = (16.0, 300.0, 200.0, 18.0)
  private static let (top, laneStart, laneStep) = (40.0, 18.0, 9.0)

  /// A box.
  struct Box: Hashable {
    let x, y, width, height: Double
  }

  /// What skips blocks: from one block down a lane to others.
  struct Trunk: Hashable {
    let from: Int
    let targets: [Int]
    var lane = 0
  }

  let diagram: BlockDiagram
  let boxes: [Box]
  /// What goes to the next block, by the block that it comes from.
  let steps: [Int]
  let trunks: [Trunk]

  init(_ diagram: BlockDiagram) {
    self.diagram = diagram
    var y = Self.top
    boxes = diagram.blocks.map { block in
      let isBlock = block.kind == .block
      let (width, height) = isBlock ? (Self.blockWidth, 40.0) : (Self.smallWidth, 24.0)
      let isWide = block.kind == .port
      let box = Box(
        x: Self.left + (isWide ? 0 : (Self.blockWidth - width) / 2), y: y, width: isWide ? Self.blockWidth : width,
        height: height)
      y += height + Self.gap
      return box
    }
    let edges = Set(diagram.edges).filter { $0.from < $0.to && $0.from >= 0 && $0.to < diagram.blocks.count }
    steps = edges.filter { $0.to == $0.from + 1 }.map(\.from).sorted()
    let skips = Dictionary(grouping: edges.filter { $0.to > $0.from + 1 }, by: \.from)
    trunks = Self.inLanes(skips.map { Trunk(from: $0.key, targets: $0.value.map(\.to).sorted()) })
  }

  /// Gives every trunk the innermost lane that is free as far as it reaches, the shortest ones first.
  private static func inLanes(_ trunks: [Trunk]) -> [Trunk] {
    func end(_ trunk: Trunk) -> Int { trunk.targets.last ?? trunk.from }
    var lanes: [[Trunk]] = []
    for trunk in trunks.sorted(by: { (end($0) - $0.from, $0.from) < (end($1) - $1.from, $1.from) }) {
      let free = lanes.firstIndex { lane in lane.allSatisfy { end($0) <= trunk.from || end(trunk) <= $0.from } }
      var placed = trunk
      placed.lane = free ?? lanes.count
      if let free { lanes[free].append(placed) } else { lanes.append([placed]) }
    }
    return lanes.flatMap { $0 }.sorted { $0.from < $1.from }
  }

  var width: Double {
    let lanes = (trunks.map(\.lane).max() ?? -1) + 1
    let beside = lanes == 0 ? 0 : Self.laneStart + Double(lanes - 1) * Self.laneStep
    return Self.left + Self.blockWidth + beside + 16
  }

  var height: Double { (boxes.last.map { $0.y + $0.height } ?? Self.top) + 16 }

  // MARK: Lines

  func lines() -> String { steps.map(step).joined() + trunks.map(trunk).joined() }

  private func step(from index: Int) -> String {
    let x = Self.left + Self.blockWidth / 2
    let (start, end) = (boxes[index].y + boxes[index].height, boxes[index + 1].y)
    return """
      <path class="mu-edge" d="M\(MarkupText.place(x)) \(MarkupText.place(start))V\(MarkupText.place(end - 5))"/>
      <path class="mu-tip" d="M\(MarkupText.place(x)) \(MarkupText.place(end))l-4 -7h8Z"/>

      """
  }

  private func trunk(_ trunk: Trunk) -> String {
    let color = trunk.lane % PlotStyle.colorCount
    let lane = Self.left + Self.blockWidth + Self.laneStart + Double(trunk.lane) * Self.laneStep
    let source = boxes[trunk.from]
    let start = source.y + source.height * 0.75
    let ends = trunk.targets.map { target in
      (x: boxes[target].x + boxes[target].width, y: entry(of: trunk.from, into: target))
    }
    var path = "M\(MarkupText.place(source.x + source.width)) \(MarkupText.place(start))H\(MarkupText.place(lane))"
    if let last = ends.last { path += "V\(MarkupText.place(last.y))" }
    for end in ends { path += "M\(MarkupText.place(lane)) \(MarkupText.place(end.y))H\(MarkupText.place(end.x + 5))" }
    let tips = ends.map { "M\(MarkupText.place($0.x)) \(MarkupText.place($0.y))l7 -4v8Z" }.joined()
    return "<path class=\"mu-curve mu-s\(color)\" d=\"\(path)\"/>\n<path class=\"mu-d\(color)\" d=\"\(tips)\"/>\n"
  }

  /// At which height a lane comes into a block: those of several one below the other.
  private func entry(of source: Int, into target: Int) -> Double {
    let sources = trunks.filter { $0.targets.contains(target) }.map(\.from)
    let place = Double((sources.firstIndex(of: source) ?? 0) + 1) / Double(sources.count + 1)
    return boxes[target].y + place * boxes[target].height * 0.6
  }

  // MARK: Boxes

  func labelled() -> String { zip(diagram.blocks, boxes).map(box).joined() }

  private func box(_ block: BlockDiagram.Block, _ box: Box) -> String {
    let color = PlotStyle.color(block.color)
    let radius = block.kind == .block ? 5 : box.height / 2
    let full = [block.name, block.type, block.detail].filter { !$0.isEmpty }.joined(separator: ", ")
    let (x, y) = (MarkupText.place(box.x), MarkupText.place(box.y))
    var text = "<g><title>\(MarkupText.escaped(MarkupText.cut(full, to: 300)))</title>\n"
    text += "<rect class=\"mu-box\" x=\"\(x)\" y=\"\(y)\" width=\"\(MarkupText.place(box.width))\" "
    text += "height=\"\(MarkupText.place(box.height))\" rx=\"\(MarkupText.place(radius))\"/>\n"
    switch block.kind {
    case .block:
      text +=
        "<rect class=\"mu-d\(color)\" x=\"\(x)\" y=\"\(MarkupText.place(box.y + 5))\" width=\"4\" height=\"30\"/>\n"
      let name = MarkupText.cutFront(block.name, to: 38)
      text += PlotStyle.text(name, x: box.x + 12, y: box.y + 17, class: "mu-strong")
      // The shape needs its room; the type has what is left.
      let detail = MarkupText.cut(block.detail, to: 32)
      let type = MarkupText.cut(block.type, to: max(3, 38 - detail.count))
      text += PlotStyle.text(type, x: box.x + 12, y: box.y + 33, class: "mu-faint")
      text += PlotStyle.text(detail, x: box.x + box.width - 10, y: box.y + 33, anchor: "end")
    case .operation:
      let label = [block.name, block.detail].filter { !$0.isEmpty }.joined(separator: "  ")
      text += PlotStyle.text(
        MarkupText.cut(label, to: 29), x: box.x + box.width / 2, y: box.y + 16, anchor: "middle")
    case .port:
      text += PlotStyle.text(MarkupText.cut(block.name, to: 14), x: box.x + 14, y: box.y + 16, class: "mu-strong")
      text += PlotStyle.text(
        MarkupText.cut(block.detail, to: 30), x: box.x + box.width - 14, y: box.y + 16, anchor: "end")
    }
    return text + "</g>\n"
  }
}
