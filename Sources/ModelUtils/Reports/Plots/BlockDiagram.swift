import ModelCore

/// Blocks one below the other in the order in which they run, and what goes from one to another; drawn as SVG.
///
/// What goes to the next block is an arrow down; what skips blocks goes along lanes beside them, one for each block that
/// it comes from. The drawing follows the viewer's light or dark mode and needs no script.
public struct BlockDiagram: Sendable, Hashable {
  /// A box in the diagram.
  public struct Block: Sendable, Hashable {
    /// What kind of box it is.
    public enum Kind: Sendable, Hashable {
      /// A part of a model.
      case block
      /// Something small between parts, such as an addition.
      case operation
      /// What a model is given, or gives.
      case port
    }

    /// What it is called.
    public var name: String
    /// What it is; empty for nothing said.
    public var type: String
    /// What it gives, such as a shape; empty for nothing said.
    public var detail: String
    /// What kind of box it is.
    public var kind: Kind
    /// Which of the eight colours of plots it has; numbers beyond begin again.
    public var color: Int

    /// A box.
    public init(_ name: String, type: String = "", detail: String = "", kind: Kind = .block, color: Int = 0) {
      (self.name, self.type, self.detail, self.kind, self.color) = (name, type, detail, kind, color)
    }
  }

  /// What goes from one block to another, by their places.
  public struct Edge: Sendable, Hashable {
    /// Where it comes from.
    public var from: Int
    /// Where it goes, which is below.
    public var to: Int

    /// An edge.
    public init(_ from: Int, _ to: Int) { (self.from, self.to) = (from, to) }
  }

  /// What stands above the diagram.
  public var title: String
  /// From top to bottom.
  public var blocks: [Block]
  /// What goes from one to another. One that goes up, or to a block that is not there, is not drawn.
  public var edges: [Edge]

  /// The most blocks that are drawn.
  public static let blockLimit = 240

  /// A diagram of blocks.
  public init(title: String, blocks: [Block], edges: [Edge] = []) {
    (self.title, self.blocks, self.edges) = (title, blocks, edges)
  }

  /// The drawing as a file of its own.
  /// - Throws: `ModelError` for more blocks than `blockLimit`.
  public func svg() throws -> String { try svg(isAlone: true) }

  /// Writes the drawing, whole or not at all.
  /// - Throws: as `svg`, and when it cannot be written.
  public func write(to location: some FileLocation) throws {
    let text = try svg()
    try AtomicFile.write(text, to: location)
  }

  func svg(isAlone: Bool) throws -> String {
    guard blocks.count <= Self.blockLimit else {
      throw ModelError(
        .limit, "a diagram of \(blocks.count) blocks cannot be drawn", advice: "up to \(Self.blockLimit) can")
    }
    let drawing = BlockDrawing(self)
    let heading = MarkupText.cut(title, to: 44)
    let content =
      PlotStyle.text(heading, x: BlockDrawing.left, y: 24, class: "mu-title") + drawing.lines() + drawing.labelled()
    return PlotStyle.svg(width: drawing.width, height: drawing.height, title: title, isAlone: isAlone, content)
  }
}
