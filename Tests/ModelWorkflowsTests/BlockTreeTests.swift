import Testing

@testable import ModelWorkflows

@Suite struct BlockTreeTests {
  private func node(_ parent: Int?, list: Bool = false, weight: Double = 1) -> BlockTree.Node {
    .init(parent: parent, isContainer: list, weight: weight)
  }

  @Test func aRootAlone() {
    #expect(BlockTree([]).blocks().isEmpty)
    let tree = BlockTree([node(nil)])
    #expect(tree.blocks() == [0] && tree.owners([0]) == [0])
  }

  /// A wrapper is looked through, and lists are opened.
  @Test func lists() {
    var nodes = [node(nil), node(0), node(1, list: true)] + (0..<9).map { _ in node(2) }
    nodes.append(node(3))
    let tree = BlockTree(nodes)
    #expect(tree.blocks() == Array(3...11))
    let owners = tree.owners(tree.blocks())
    #expect(owners == [nil, nil, nil] + (0..<9).map(Int?.init) + [0])
  }

  /// Of few parts the heaviest is taken apart.
  @Test func heaviest() {
    let nodes = [node(nil), node(0, weight: 9), node(0, weight: 1)] + [1, 1, 2, 2].map { node($0) }
    #expect(BlockTree(nodes).blocks() == [3, 4, 5, 6])
    let many = [node(nil)] + (0..<8).map { _ in node(0) } + [node(1), node(1)]
    #expect(BlockTree(many).blocks() == Array(1...8))
  }

  /// A list with too many parts stays closed.
  @Test func tooMany() {
    let nodes = [node(nil), node(0, list: true), node(0)] + (0..<100).map { _ in node(1) }
    #expect(BlockTree(nodes).blocks() == [1, 2])
  }
}
