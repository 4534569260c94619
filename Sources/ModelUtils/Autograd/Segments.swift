import ModelCore
import ModelGraph

/// A forward in segments, of which all but the last are computed again for the backward pass: kept are what later
/// segments take, what the model gives, and what is small.
///
/// Of all divisions the one whose greatest need of memory is the least is found, by the bytes of what is kept up to a
/// segment, of what its own gradients read, and of the gradients themselves; among equals the one that computes least
/// again. It follows from the graph and its types alone.
struct Segments {
  /// Where they begin, as places of nodes: 0 first.
  private(set) var starts: [Int] = [0]
  private let graph: Graph
  private let count: Int
  /// Of each value the one whose memory it lies in.
  private var roots: [Int]
  private var bytes: [Int]
  /// The last node of the forward that takes each; `count` for what is kept anyway.
  private var lastUse: [Int]
  /// Whether gradients read it.
  private var isRead: [Bool]
  /// Of each node the bytes of the gradients that meet there, and how much it computes.
  private var flow: [Int] = []
  private var work: [Int] = []

  /// The most places that are considered.
  private static let limit = 512
  /// What is that much smaller than the largest value is kept.
  private static let smallness = 1024

  init(_ training: TrainingGraph, _ types: InferredTypes) {
    (graph, count) = (training.graph, training.forwardNodeCount)
    roots = Array(graph.definitions.indices)
    bytes = roots.map { _ in 0 }
    lastUse = roots.map { _ in -1 }
    isRead = roots.map { _ in false }
    for node in graph.nodes[..<count] {
      if node.isView(types) {
        for result in node.results { roots[result.index] = roots[node.operands[0].index] }
      } else {
        for result in node.results { bytes[result.index] = types[result].byteCount }
      }
    }
    let largest = bytes.max() ?? 0
    for (index, node) in graph.nodes.enumerated() {
      for operand in node.operands {
        let root = roots[operand.index]
        if index < count { lastUse[root] = index } else { isRead[root] = true }
      }
      guard index < count else { continue }
      let taken = node.operands.filter { graph.producer(of: $0) != nil }
      flow.append((taken + node.results.prefix(1)).reduce(0) { $0 + types[$1].byteCount })
      work.append(node.work(types))
    }
    for value in graph.outputs { lastUse[roots[value.index]] = count }
    for value in roots where bytes[value] <= largest / Self.smallness { lastUse[value] = count }
    starts = best()
  }

  /// The segment that a node of the forward is in.
  func segment(of node: Int) -> Int { (starts.lastIndex { $0 <= node }) ?? 0 }

  /// The segment in which a value is computed again; nil for what is kept.
  func segmentOfRecomputed(_ value: Graph.Value) -> Int? {
    guard let node = graph.producer(of: value), node < count else { return nil }
    guard let origin = graph.producer(of: Graph.Value(index: roots[value.index])) else { return nil }
    let own = segment(of: origin)
    guard own + 1 < starts.count, lastUse[roots[value.index]] < starts[own + 1] else { return nil }
    return segment(of: node)
  }

  // MARK: Choosing

  /// What a segment between two places comes to.
  private struct Cost {
    /// Bytes that it leaves to later ones.
    var left = 0
    /// Bytes that are needed besides while its gradients are made.
    var own = 0
    var work = 0
  }

  /// A division up to a place.
  private struct Division {
    var kept: Int
    var work: Int
    var previous: Int
  }

  /// The places between which segments may lie, both ends among them: the ones with the fewest bytes alive, where there
  /// are too many.
  private func places() -> [Int] {
    var isForbidden = [Bool](repeating: false, count: count + 1)
    var users = [[Int]](repeating: [], count: graph.definitions.count)
    for (index, node) in graph.nodes[..<count].enumerated() {
      for operand in Set(node.operands) { users[operand.index].append(index) }
    }
    var alive = [Int](repeating: 0, count: count + 1)
    for (index, node) in graph.nodes[..<count].enumerated() {
      for result in node.results {
        // What is computed in one pass with what takes it is never stored.
        if let user = users[result.index].first, users[result.index].count == 1, graph.nodes[user].operation.isPointwise
        {
          for place in index + 1...user { isForbidden[place] = true }
        }
        guard lastUse[result.index] > index, bytes[result.index] > 0 else { continue }
        alive[index + 1] += bytes[result.index]
        if lastUse[result.index] < count { alive[lastUse[result.index] + 1] -= bytes[result.index] }
      }
    }
    for place in 1...count { alive[place] += alive[place - 1] }
    let stretch = (count + Self.limit - 1) / Self.limit
    let inner = stride(from: 1, to: count, by: stretch).compactMap { first in
      (first..<min(first + stretch, count)).filter { !isForbidden[$0] }.min { alive[$0] < alive[$1] }
    }
    return [0] + inner + [count]
  }

  /// Of every segment that ends at a place, by where it begins.
  private func costs(_ places: [Int], endingAt end: Int) -> [Cost] {
    var costs = [Cost](repeating: Cost(), count: end)
    var (cost, stored, widest) = (Cost(), 0, 0)
    var begin = end - 1
    for node in (0..<places[end]).reversed() {
      var isKept = false
      for result in graph.nodes[node].results where bytes[result.index] > 0 {
        if lastUse[result.index] >= places[end] {
          cost.left += bytes[result.index]
          isKept = true
        } else if isRead[result.index] {
          stored += bytes[result.index]
        }
      }
      widest = max(widest, flow[node])
      if !isKept { cost.work += work[node] }
      while begin >= 0, places[begin] == node {
        cost.own = stored + widest
        costs[begin] = cost
        begin -= 1
      }
    }
    return costs
  }

  private func best() -> [Int] {
    guard count > 1 else { return [0] }
    let places = places()
    guard places.count > 2 else { return [0] }
    let costs = places.indices.map { $0 == 0 ? [] : self.costs(places, endingAt: $0) }
    let whole = costs[places.count - 1][0]
    var (low, high) = (0, whole.left + whole.own)
    var found: [Int] = [0]
    let plain = high
    while high - low > max(1, high / 256) {
      let middle = (low + high) / 2
      if let starts = division(costs, within: middle) {
        (found, high) = (starts, middle)
      } else {
        low = middle
      }
    }
    // To compute again what hardly saves anything is a waste.
    return high > plain - plain / 16 ? [0] : found.map { places[$0] }
  }

  /// The division that needs no more than so many bytes and computes least again, as indices of where its segments
  /// begin; nil where there is none.
  private func division(_ costs: [[Cost]], within limit: Int) -> [Int]? {
    var divisions: [Division?] = [Division(kept: 0, work: 0, previous: 0)]
    for end in 1..<costs.count - 1 {
      var best: Division?
      for begin in 0..<end {
        guard let before = divisions[begin] else { continue }
        let cost = costs[end][begin]
        let next = Division(kept: before.kept + cost.left, work: before.work + cost.work, previous: begin)
        guard next.kept + cost.own <= limit else { continue }
        if let best, (best.kept, best.work) <= (next.kept, next.work) { continue }
        best = next
      }
      divisions.append(best)
    }
    let last = costs[costs.count - 1]
    let feasible = divisions.indices.filter { begin in
      divisions[begin].map { $0.kept + last[begin].left + last[begin].own <= limit } ?? false
    }
    guard var place = feasible.min(by: { (divisions[$0]?.work ?? 0) < (divisions[$1]?.work ?? 0) }) else { return nil }
    var starts: [Int] = []
    while place > 0, let division = divisions[place] {
      starts.append(place)
      place = division.previous
    }
    return [0] + starts.reversed()
  }
}

extension TensorType {
  fileprivate var byteCount: Int { shape.reduce(1, *) * (dtype.byteWidth ?? 1) }
}

extension Graph.Node {
  /// Whether what it gives lies in its first operand's memory.
  fileprivate func isView(_ types: InferredTypes) -> Bool {
    switch operation {
    case .reshape, .flatten, .permute, .expand, .slice, .split: true
    case .convert(let dtype): types[operands[0]].dtype == dtype
    case .dropout(let dropout): dropout.probability == 0
    default: false
    }
  }

  /// Multiplications, or elements.
  fileprivate func work(_ types: InferredTypes) -> Int {
    let elements = types[results[0]].shape.reduce(1, *)
    guard operands.count > 1 else { return elements }
    let weight = types[operands[1]].shape
    switch operation {
    case .convolution, .linear: return elements * (weight.reduce(1, *) / max(weight.first ?? 1, 1))
    case .matrixProduct, .attention: return elements * (types[operands[0]].shape.last ?? 1)
    default: return elements
    }
  }
}

extension Operation {
  /// Whether it may be computed with what it takes, element by element.
  fileprivate var isPointwise: Bool {
    switch self {
    case .unary, .binary(.add), .batchNorm(.inference, _): true
    default: false
    }
  }
}
