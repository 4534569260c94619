import ModelCore
import ModelSurgery
import Testing

/// What PyTorch prunes of two weights after a seed, by their indices.
struct Seeded: Sendable {
  let seed: UInt64
  let elements: [[Int]]
  let rows: [[Int]]
  /// Of the first weight alone.
  let column: Int

  static let all = [
    Seeded(seed: 0, elements: [[0, 1, 5, 7, 9, 15, 16, 17], [1, 3, 6]], rows: [[2, 3], [5, 6]], column: 2),
    Seeded(seed: 1, elements: [[0, 3, 5, 7, 10, 12, 18, 19], [2, 5, 6]], rows: [[1, 4], [1, 4]], column: 1),
    Seeded(
      seed: 1_099_511_627_783, elements: [[2, 3, 7, 9, 10, 11, 16, 18], [0, 2, 6]], rows: [[1, 4], [1, 3]], column: 1),
  ]
}

@Suite struct PruneTests {
  private func pruned(_ values: [Float], _ options: PruneOptions, shape: [Int]? = nil) throws -> [Float] {
    var state = StateDict(["conv.weight": try Tensor(values, shape ?? [values.count, 1, 1, 1])])
    try state.prune(options)
    return try #require(state["conv.weight"]).floats()
  }

  @Test func theSmallestMagnitudesGo() throws {
    #expect(try pruned([3, -1, 2, -4], PruneOptions(amount: .share(0.5))) == [3, 0, 0, -4])
    #expect(try pruned([3, -1, 2, -4], PruneOptions(amount: .count(1))) == [3, 0, 2, -4])
    #expect(try pruned([3, -1], PruneOptions(amount: .count(0))) == [3, -1])
    #expect(try pruned([3, -1], PruneOptions(amount: .share(1))) == [0, 0])
    #expect(try pruned([], PruneOptions(amount: .share(0.5))) == [])
  }

  @Test func equalMagnitudesGoFromTheFirst() throws {
    #expect(try pruned([1, -1, 1, -1], PruneOptions(amount: .count(2))) == [0, 0, 1, -1])
  }

  @Test func nanIsGreatestAndZerosArePositive() throws {
    let result = try pruned([.nan, -.infinity, -0.5, 2], PruneOptions(amount: .count(3)))
    #expect(result[0].isNaN && result[1...] == [0, 0, 0] && result[2].sign == .plus)
  }

  @Test(arguments: [(1, 0), (3, 2), (5, 2), (7, 4)])
  func sharesRoundHalfToEven(_ total: Int, _ count: Int) throws {
    #expect(try PruneAmount.share(0.5).count(of: total) == count)
  }

  @Test func amountsAreRead() throws {
    #expect(try PruneAmount("30%") == .share(0.3) && PruneAmount("0.3") == .share(0.3) && PruneAmount("1") == .count(1))
    #expect(try PruneAmount("1.0") == .share(1))
    for text in ["-1", "1.01", "101%", "x", "", "nan"] { #expect(throws: ModelError.self) { try PruneAmount(text) } }
    #expect(throws: ModelError(.invalid, "5 cannot be pruned of 4")) { try PruneAmount.count(5).count(of: 4) }
  }

  @Test func repeatedPruningActsOnTheRest() throws {
    let options = PruneOptions(amount: .share(0.5), isRepeated: true)
    #expect(try pruned([0, 0, 1, 2], options) == [0, 0, 0, 2])
  }

  @Test func slicesAndPatterns() throws {
    let rows: [Float] = [1, 1, 5, 5, 2, 2]
    #expect(
      try pruned(rows, PruneOptions(amount: .count(1), method: .structured(norm: 2, axis: 0)), shape: [3, 2, 1, 1])
        == [0, 0, 5, 5, 2, 2])
    #expect(
      try pruned([1, 4, 3, 2], PruneOptions(method: .pattern(keep: 2, group: 4)), shape: [1, 4, 1, 1]) == [0, 4, 3, 0])
  }

  /// torch.manual_seed, then random_unstructured(amount=0.4) and random_structured(amount=2, dim=0) of weights [5, 4,
  /// 1, 1] and [7, 1, 1, 1], one after the other: the indices of what goes.
  @Test(arguments: Seeded.all) func seeds(_ golden: Seeded) throws {
    let state = StateDict([
      "a.weight": try Tensor((1...20).map { Float($0) }, [5, 4, 1, 1]),
      "b.weight": try Tensor((1...7).map { Float($0) }, [7, 1, 1, 1]),
    ])
    func zeros(_ options: PruneOptions) throws -> [[Int]] {
      var state = state
      try state.prune(options)
      return try ["a.weight", "b.weight"].map { name in
        try #require(state[name]).floats().enumerated().filter { $0.element == 0 }.map(\.offset)
      }
    }
    #expect(try zeros(PruneOptions(amount: .share(0.4), method: .random(seed: golden.seed))) == golden.elements)
    let rows = try zeros(PruneOptions(amount: .count(2), method: .randomStructured(seed: golden.seed, axis: 0)))
    let first = golden.rows[0].flatMap { row in (0..<4).map { 4 * row + $0 } }
    #expect(rows == [first, golden.rows[1]])
    let columns = try zeros(
      PruneOptions(
        amount: .count(1), method: .randomStructured(seed: golden.seed, axis: 1), include: [Glob("a.weight")]))
    let column = (0..<5).map { 4 * $0 + golden.column }
    #expect(columns == [column, []])
  }

  @Test func globalTakesTiesInOrder() throws {
    var state = StateDict([
      "a.weight": try Tensor([1, 9], [2, 1, 1, 1]), "b.weight": try Tensor([1, 1], [2, 1, 1, 1]),
    ])
    let report = try state.prune(PruneOptions(amount: .count(2), method: .global))
    #expect(try state["a.weight"]?.floats() == [0, 9] && state["b.weight"]?.floats() == [0, 1])
    #expect(report.layers.map(\.zeros) == [1, 1] && report.sparsity == 0.5)
  }

  @Test func tiedWeightsStayTied() throws {
    let tied = try Tensor([1, 2], [2, 1, 1, 1])
    var state = StateDict(["a.weight": tied, "b.weight": tied, "a.bias": try Tensor([1, 2])])
    let report = try state.prune(PruneOptions(amount: .count(1)))
    #expect(report.layers.count == 1 && state["a.weight"]?.identity == state["b.weight"]?.identity)
    #expect(
      try tied.floats() == [1, 2] && state["b.weight"]?.floats() == [0, 2] && state["a.bias"]?.floats() == [1, 2])
  }
}
