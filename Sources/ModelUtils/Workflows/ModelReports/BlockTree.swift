/// A tree of a model's parts, of which those are chosen that stand for it in a picture: as many as people can take in.
struct BlockTree {
  /// A part.
  struct Node {
    /// The part that it stands in, which comes before it; nil for the root, which is the first.
    let parent: Int?
    /// Whether it only holds others in their order.
    let isContainer: Bool
    /// How much of the model it is, its own parts included.
    var weight: Double
  }

  /// So many parts are not too many.
  static let most = 64
  /// Of fewer the heaviest ones are taken apart.
  static let least = 8

  private let nodes: [Node]
  private var children: [[Int]]

  init(_ nodes: [Node]) {
    self.nodes = nodes
    children = [[Int]](repeating: [], count: nodes.count)
    for (index, node) in nodes.enumerated() {
      if let parent = node.parent { children[parent].append(index) }
    }
  }

  /// The chosen parts, none of which stands in another: the root's, those of containers as long as they are not too many,
  /// and of other parts where there would be few.
  func blocks() -> [Int] {
    guard !nodes.isEmpty else { return [] }
    if children[0].isEmpty { return [0] }
    var chosen = Set(children[0])
    var waiting = children[0][...]
    func takeApart(_ node: Int) {
      chosen.remove(node)
      chosen.formUnion(children[node])
      waiting += children[node]
    }
    while true {
      while let node = waiting.popFirst() {
        let isOpened = nodes[node].isContainer || chosen.count == 1
        guard isOpened, !children[node].isEmpty, chosen.count - 1 + children[node].count <= Self.most else { continue }
        takeApart(node)
      }
      let heaviest = chosen.filter {
        !children[$0].isEmpty && chosen.count - 1 + children[$0].count <= Self.most
      }.max { (nodes[$0].weight, $1) < (nodes[$1].weight, $0) }
      guard chosen.count < Self.least, let heaviest else { return chosen.sorted() }
      takeApart(heaviest)
    }
  }

  /// Of every part the chosen one that it is or stands in; nil for what the chosen ones stand in.
  func owners(_ blocks: [Int]) -> [Int?] {
    var owners = [Int?](repeating: nil, count: nodes.count)
    let places = Dictionary(uniqueKeysWithValues: blocks.enumerated().map { ($1, $0) })
    for (index, node) in nodes.enumerated() { owners[index] = places[index] ?? node.parent.flatMap { owners[$0] } }
    return owners
  }
}
