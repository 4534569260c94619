import ModelReports
import Testing

@testable import ModelWorkflows

@Suite struct BlockFlowTests {
  private func step(_ block: Int?, _ inputs: [Int], _ outputs: [Int], _ label: String = "op") -> BlockFlow.Step {
    .init(block: block, label: label, inputs: inputs, outputs: outputs, detail: "")
  }

  private func flow(_ blocks: Int, _ steps: [BlockFlow.Step], outputs: [Int]) -> BlockFlow {
    var flow = BlockFlow(blocks: (0..<blocks).map { BlockDiagram.Block("block \($0)") })
    flow.steps = steps
    flow.inputs = [.init(name: "x", value: 0, detail: "1×3")]
    flow.outputs = outputs
    return flow
  }

  /// Operations inside a block are not drawn, those between are.
  @Test func aResidual() throws {
    let flow = flow(
      2, [step(0, [0], [1]), step(0, [1], [2]), step(1, [2], [3]), step(nil, [3, 2], [4], "add")], outputs: [4])
    let diagram = try #require(flow.diagram(title: "t"))
    #expect(diagram.blocks.map(\.name) == ["x", "block 0", "block 1", "add", "output"])
    #expect(diagram.blocks.map(\.kind) == [.port, .block, .block, .operation, .port])
    #expect(diagram.edges == [.init(0, 1), .init(1, 2), .init(1, 3), .init(2, 3), .init(3, 4)])
  }

  /// Of many operations between blocks those that only hand on are gone through.
  @Test func manyThatHandOn() throws {
    let steps = (0..<20).map { step(nil, [$0], [$0 + 1]) } + [step(0, [20], [21]), step(nil, [21, 20], [22], "add")]
    let diagram = try #require(flow(1, steps, outputs: [22, 21]).diagram(title: "t"))
    #expect(diagram.blocks.map(\.name) == ["x", "block 0", "add", "2 outputs"])
    #expect(diagram.edges == [.init(0, 1), .init(0, 2), .init(1, 2), .init(1, 3), .init(2, 3)])
  }

  /// Blocks that take from each other have no order.
  @Test func noOrder() {
    #expect(flow(2, [step(0, [0], [1]), step(1, [1], [2]), step(0, [2], [3])], outputs: [3]).diagram(title: "") == nil)
  }

  @Test func aBlockWithoutSteps() throws {
    let diagram = try #require(flow(2, [step(1, [0], [1])], outputs: [1]).diagram(title: ""))
    #expect(diagram.blocks.map(\.name) == ["x", "block 1", "output"])
  }
}
