import TestSupport
import Testing

@testable import ModelReports

@Suite struct BlockDiagramTests {
  private let diagram = BlockDiagram(
    title: "Blocks",
    blocks: [
      .init("input", detail: "1×3×8×8", kind: .port), .init("a", type: "Conv", detail: "1×4×8×8"),
      .init("b", type: "C3"),
      .init("add", kind: .operation), .init("c", type: "Detect", color: 2),
    ], edges: [.init(0, 1), .init(1, 2), .init(2, 3), .init(1, 3), .init(3, 4), .init(0, 4)])

  @Test func boxes() {
    #expect(
      BlockDrawing(diagram).boxes == [
        .init(x: 16, y: 40, width: 300, height: 24), .init(x: 16, y: 82, width: 300, height: 40),
        .init(x: 16, y: 140, width: 300, height: 40), .init(x: 66, y: 198, width: 200, height: 24),
        .init(x: 16, y: 240, width: 300, height: 40),
      ])
  }

  @Test func lanes() throws {
    let drawing = BlockDrawing(diagram)
    #expect(drawing.steps == [0, 1, 2, 3])
    // The shorter one lies within the longer one, and so in the inner lane.
    #expect(drawing.trunks == [.init(from: 0, targets: [4], lane: 1), .init(from: 1, targets: [3], lane: 0)])
    #expect(drawing.width == 16 + 300 + 18 + 9 + 16 && drawing.height == 296)
    let all = try #require(elements(diagram.svg()))
    let curves = all.filter { $0.attributes["class"]?.hasPrefix("mu-curve") == true }.map { $0.attributes["d"] }
    #expect(curves == ["M316 58H343V252M343 252H321", "M316 112H334V205.2M334 205.2H271"])
    let arrows = all.filter { $0.attributes["class"] == "mu-edge" }.map { $0.attributes["d"] }
    #expect(arrows == ["M166 64V77", "M166 122V135", "M166 180V193", "M166 222V235"])
  }

  @Test func trunksThatMeetShareALane() {
    let blocks = (0..<7).map { BlockDiagram.Block("\($0)") }
    let drawing = BlockDrawing(BlockDiagram(title: "", blocks: blocks, edges: [.init(0, 3), .init(3, 6), .init(0, 2)]))
    #expect(drawing.trunks == [.init(from: 0, targets: [2, 3], lane: 0), .init(from: 3, targets: [6], lane: 0)])
  }

  @Test func whatCannotBeDrawn() throws {
    let blocks = (0..<3).map { BlockDiagram.Block("\($0)") }
    let edges: [BlockDiagram.Edge] = [.init(1, 0), .init(1, 1), .init(0, 9), .init(-1, 2)]
    let drawing = BlockDrawing(BlockDiagram(title: "", blocks: blocks, edges: edges))
    #expect(drawing.steps.isEmpty && drawing.trunks.isEmpty)
    let many = BlockDiagram(title: "", blocks: [BlockDiagram.Block](repeating: .init("x"), count: 241))
    #expect(
      refusal { _ = try many.svg() } == "a diagram of 241 blocks cannot be drawn; up to 240 can")
  }

  @Test func noneAndOne() throws {
    let none = try #require(elements(BlockDiagram(title: "None", blocks: []).svg()))
    #expect(none.filter { $0.name == "text" }.map(\.text) == ["None"])
    let one = try #require(elements(BlockDiagram(title: "", blocks: [.init("a", type: "T", detail: "1×2")]).svg()))
    #expect(one.filter { $0.name == "text" }.map(\.text) == ["", "a", "T", "1×2"])
    #expect(one.contains { $0.name == "title" && $0.text == "a, T, 1×2" })
  }

  @Test func textIsEscaped() throws {
    let bad = "<script>&\"'\0"
    let kinds: [BlockDiagram.Block.Kind] = [.block, .operation, .port]
    let diagram = BlockDiagram(
      title: bad, blocks: kinds.map { .init(bad, type: bad, detail: bad, kind: $0) }, edges: [.init(0, 1), .init(0, 2)])
    let svg = try diagram.svg()
    #expect(!svg.contains("<script") && elements(svg) != nil)
    let folder = try TemporaryFolder()
    try diagram.write(to: folder["d.svg"])
    #expect(try text(folder["d.svg"]) == svg)
  }
}
