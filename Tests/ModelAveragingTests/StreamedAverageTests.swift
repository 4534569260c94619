import ModelAveraging
import ModelCore
import Testing

/// Averages that are computed when they are read have the bits of those in memory.
@Suite struct StreamedAverageTests {
  /// Floats of every width, integers, an axis out of order, a tensor that threads share, one without elements.
  private static func model(_ seed: Int) throws -> StateDict {
    func values(_ count: Int) -> [Float] { (0..<count).map { Float(($0 * 37 + seed * 101) % 1013) / 7 - 50 } }
    return StateDict([
      "weight": try Tensor(values(1 << 20), [1 << 10, 1 << 10]).permuted([1, 0]),
      "large": try Tensor(values((1 << 20) + 77)),
      "half": try Tensor(values(13)).cast(to: .float16), "brain": try Tensor(values(7)).cast(to: .bfloat16),
      "double": try Tensor(values(5)).cast(to: .float64), "empty": try Tensor([Float](), [0, 3]),
      "bn.running_mean": try Tensor(values(3)), "bn.num_batches_tracked": try Tensor([Int64(seed)], []),
    ])
  }

  private static func averages(_ model: StateDict) throws -> [any ModelAverage] {
    [
      try ModelEMA(model, tau: 3), try ModelEma(model, decay: 0.7), try ModelEmaV2(model, decay: 0.7),
      try ModelEmaV3(model, useWarmup: true, warmupGamma: 2), try ExpMomentumEMA(model, momentum: 0.3, gamma: 1),
      try AveragedModel(model), try AveragedModel(model, useBuffers: true),
    ]
  }

  @Test func sameBits() throws {
    let models = try (0..<4).map(Self.model)
    func taken() throws -> [any ModelAverage] {
      var averages = try Self.averages(models[0])
      for index in averages.indices {
        for (step, model) in models.enumerated().dropFirst() { try averages[index].update(model, step: step) }
      }
      return averages
    }
    let inMemory = try taken()
    let streamed = try StreamedAverages.$isOn.withValue(true) { try taken() }
    for (expected, found) in zip(inMemory, streamed) {
      let (expected, found) = (expected.stateDict(), found.stateDict())
      #expect(expected.names == found.names)
      for (name, tensor) in expected.tensors {
        let other = try #require(found[name])
        #expect(other.dtype == tensor.dtype && other.shape == tensor.shape)
        #expect(try bytes(other) == bytes(tensor), "\(name)")
      }
    }
  }

  @Test func modelsThatAreLeftOut() throws {
    try StreamedAverages.$isOn.withValue(true) {
      var average = try AveragedModel(StateDict(["x": try Tensor([Float(1), 2])]))
      average.skipsNonFinite = true
      let broken = try average.update(StateDict(["x": try Tensor([Float.nan, 2])]))
      #expect(broken.isSkipped && broken.nonFinite == ["x"])
      average.skipsNonFinite = false
      #expect(try average.update(StateDict(["x": try Tensor([Float(3), .infinity])])).nonFinite == ["x"])
      #expect(try #require(average.stateDict()["x"]).floats() == [3, .infinity])
      #expect(throws: ModelError.self) { try average.update(StateDict(["x": try Tensor([Float(1)])])) }
    }
  }
}
