import ModelCheckpoints
import ModelCore
import Testing

@Suite struct ONNXNodesTests {
  @Test func nodesOfBranchesFollowTheirNode() {
    let branch = ONNXGraph(name: "then", nodes: [ONNXNode("Relu", ["x"], ["y"])])
    let choice = ONNXNode("If", ["c"], ["z"], attributes: [ONNXAttribute("then_branch", .graph(branch))])
    let graph = ONNXGraph(name: "main", nodes: [choice, ONNXNode("Abs", ["z"], ["w"])])
    #expect(graph.allNodes.map(\.operation) == ["If", "Relu", "Abs"])
  }
}
