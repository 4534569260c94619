import ModelCore
import ModelSurgery
import Testing

/// Which axis is scaled in a bare state dict: s = 1, 2, 3, … per output channel.
@Suite struct TransposedPairsTests {
  func state(_ shape: [Int], features: Int, name: String = "c") throws -> StateDict {
    let ones = { (count: Int) in [Float](repeating: 1, count: count) }
    return try [
      "\(name).weight": Tensor(ones(shape.reduce(1, *)), shape), "n.weight": Tensor((1...features).map { Float($0) }),
      "n.bias": Tensor(ones(features)), "n.running_mean": Tensor([Float](repeating: 0, count: features)),
      "n.running_var": Tensor(ones(features)),
    ]
  }

  func factors(
    _ shape: [Int], features: Int, name: String = "c", transposed: [Glob]? = nil
  ) throws -> ([Double], FusionReport) {
    var state = try state(shape, features: features, name: name)
    let report = try state.fuse([PairPattern("*\(name)=*n")], eps: 0, transposed: transposed)
    let inner = shape.dropFirst(2).reduce(1, *)
    let values = try #require(try state["\(name).weight"]?.doubles())
    return (stride(from: 0, to: values.count, by: inner).map { values[$0] }, report)
  }

  @Test func ordinaryWhereNothingSpeaksAgainstIt() throws {
    #expect(try factors([2, 2, 3, 3], features: 2).0 == [1, 1, 2, 2])
    #expect(try factors([2, 2, 3, 3], features: 2).1.assumedOrdinary == ["c"])
    #expect(try factors([2, 3, 4, 4], features: 2).1.assumedOrdinary == [])
    #expect(try factors([2, 1, 4, 4], features: 2).0 == [1, 2])
    #expect(try factors([2, 2], features: 2).1.assumedOrdinary == [])
    #expect(try factors([2, 2, 2, 2], features: 2, transposed: []).0 == [1, 1, 2, 2])
  }

  @Test func transposedWhereItIsSaidOrProved() throws {
    #expect(try factors([2, 2, 3, 3], features: 2, transposed: [Glob("c")]).0 == [1, 2, 1, 2])
    #expect(try factors([3, 2, 3, 3], features: 2).0 == [1, 2, 1, 2, 1, 2])
    #expect(try factors([3, 2, 3, 3], features: 2).1.transposed == ["c"])
    // Two groups of one input and two outputs each.
    #expect(try factors([2, 2, 1, 1], features: 4, transposed: [Glob("*")]).0 == [1, 2, 3, 4])
  }

  @Test(arguments: [([2, 2, 2, 2], "c"), ([2, 2, 3, 4], "c"), ([2, 2, 3], "deconv"), ([4, 2, 2, 2], "c")])
  func askedFor(shape: [Int], name: String) throws {
    let error = #expect(throws: ModelError.self) { try factors(shape, features: shape[0], name: name) }
    #expect(error?.subject == name && error?.kind == .unsupported && error?.advice?.contains("--transposed") == true)
  }

  @Test func mistakenNamesAreNoProof() throws {
    // A matrix, several groups, channels that fit nothing.
    for (shape, features) in [([4, 2, 1, 1], 2), ([2, 2, 3, 3], 4), ([4, 3, 3, 3], 2)] {
      #expect(throws: ModelError.self) { try factors(shape, features: features) }
    }
    #expect(throws: ModelError.self) { try factors([2, 2, 3, 3], features: 2, transposed: [Glob("x")]) }
    #expect(throws: ModelError.self) { try factors([4, 3, 3, 3], features: 4, transposed: [Glob("c")]) }
  }
}
