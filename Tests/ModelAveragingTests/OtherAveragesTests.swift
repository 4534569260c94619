import ModelAveraging
import ModelCore
import Testing

@Suite struct OtherAveragesTests {
  let goldens: Goldens
  init() throws { goldens = try Goldens() }

  @Test func modelEma() throws {
    var ema = try ModelEma(goldens.models[0], decay: 0.7)
    for model in goldens.models.dropFirst() { try ema.update(model) }
    #expect(try goldens.differences(ema.stateDict(), "timm").isEmpty)
  }

  @Test func modelEmaV2() throws {
    var ema = try ModelEmaV2(goldens.models[0], decay: 0.7)
    for model in goldens.models.dropFirst() {
      var renamed = StateDict()
      for (name, tensor) in model.tensors { renamed["other." + name] = tensor }
      try ema.update(renamed)
    }
    #expect(try goldens.differences(ema.stateDict(), "timm-v2").isEmpty)
    try ema.set(goldens.models[3])
    #expect(try bytes(#require(ema.stateDict()["bias"])) == bytes(#require(goldens.models[3]["bias"])))
    #expect(throws: ModelError.self) { try ema.update(StateDict()) }
  }

  @Test func modelEmaV3() throws {
    var ema = try ModelEmaV3(goldens.models[0], useWarmup: true, warmupGamma: 2)
    for (step, model) in goldens.models.enumerated().dropFirst() { try ema.update(model, step: step) }
    #expect(try goldens.differences(ema.stateDict(), "timm-v3").isEmpty)
    #expect(ema.decay(at: nil) == 0.9999 && ema.decay(at: 1) == 0 && ema.decay(at: Int.min) == 0)
    ema.updateAfterStep = 10
    #expect(ema.decay(at: 11) == 0 && ema.decay(at: 12) > 0)
  }

  @Test func expMomentumEMA() throws {
    var ema = try ExpMomentumEMA(goldens.models[3], momentum: 0.3, gamma: 1)
    for model in goldens.models { try ema.update(model) }
    #expect(try goldens.differences(ema.stateDict(), "mmyolo").isEmpty)
    #expect(throws: ModelError.self) { try ExpMomentumEMA(StateDict(), gamma: 0) }
    #expect(throws: ModelError.self) { try ExpMomentumEMA(StateDict(), interval: 0) }
  }

  @Test func averagedModel() throws {
    var swa = try AveragedModel(goldens.models[2])
    for model in goldens.models { try swa.update(model) }
    #expect(try goldens.differences(swa.stateDict(), "swa").isEmpty)
    #expect(swa.updates == 4)
  }
}
