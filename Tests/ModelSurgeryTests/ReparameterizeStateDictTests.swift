import ModelCore
import ModelSurgery
import Testing

/// Branches of one channel, by their names alone.
@Suite struct ReparameterizeStateDictTests {
  func norm(_ path: String, gamma: Float, beta: Float) throws -> [(String, Tensor)] {
    try [
      ("\(path).weight", Tensor([gamma])), ("\(path).bias", Tensor([beta])), ("\(path).running_mean", Tensor([0])),
      ("\(path).running_var", Tensor([1])),
    ]
  }

  func state(_ prefix: String = "b.") throws -> StateDict {
    let kernel = try Tensor((1...9).map { Float($0) }, [1, 1, 3, 3])
    return StateDict(
      OrderedDictionary(
        uniqueKeysWithValues: [("first", try Tensor([1])), ("\(prefix)rbr_dense.conv.weight", kernel)]
          + (try norm("\(prefix)rbr_dense.bn", gamma: 2, beta: 1))
          + [("\(prefix)rbr_1x1.conv.weight", try Tensor([10], [1, 1, 1, 1]))]
          + (try norm("\(prefix)rbr_1x1.bn", gamma: 3, beta: 2))
          + (try norm("\(prefix)rbr_identity", gamma: 5, beta: 4)) + [("last", try Tensor([2]))]))
  }

  @Test(arguments: ["b.", "", "a.b.c."])
  func merged(prefix: String) throws {
    var state = try state(prefix)
    let report = try state.reparameterize(eps: 0)
    #expect(report.merged == [String(prefix.dropLast())] && report.refused.isEmpty)
    #expect(Array(state.names) == ["first", "\(prefix)rbr_reparam.weight", "\(prefix)rbr_reparam.bias", "last"])
    #expect(try state["\(prefix)rbr_reparam.weight"]?.doubles() == [2, 4, 6, 8, 45, 12, 14, 16, 18])
    #expect(try state["\(prefix)rbr_reparam.bias"]?.doubles() == [7])
  }

  @Test func refused() throws {
    var state = try state()
    state["b.rbr_1x1.conv.weight"] = nil
    #expect(try state.reparameterize(eps: 0).refused.map(\.name) == ["b"])
    #expect(state["b.rbr_dense.conv.weight"] != nil)
    #expect(throws: ModelError.self) { try state.reparameterize(eps: -1) }
    var other = StateDict(["conv1.weight": try Tensor([1], [1, 1, 1, 1])])
    #expect(throws: ModelError.self) { try other.reparameterize(eps: 0) }
  }
}
