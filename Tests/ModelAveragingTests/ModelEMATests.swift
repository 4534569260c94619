import ModelAveraging
import ModelCore
import Testing

@Suite struct ModelEMATests {
  let goldens: Goldens
  init() throws { goldens = try Goldens() }

  @Test func asTheOriginal() throws {
    var ema = try ModelEMA(goldens.models[0], tau: 10)
    for model in goldens.models.dropFirst() { try ema.update(model) }
    #expect(try goldens.differences(ema.stateDict(), "yolo").isEmpty)
    #expect(ema.updates == 3)
  }

  @Test func resumes() throws {
    var first = try ModelEMA(goldens.models[0], tau: 10)
    try first.update(goldens.models[1])
    var second = try ModelEMA(first.average, tau: 10, updates: first.updates)
    for model in goldens.models[2...] { try second.update(model) }
    #expect(try goldens.differences(second.stateDict(), "yolo").isEmpty)
  }

  @Test func wrappersPrefixes() throws {
    var ema = try ModelEMA(goldens.models[0], tau: 10)
    for model in goldens.models.dropFirst() {
      var wrapped = StateDict()
      for (name, tensor) in model.tensors { wrapped["module." + name] = tensor }
      try ema.update(wrapped)
    }
    #expect(try goldens.differences(ema.stateDict(), "yolo").isEmpty)
  }

  @Test func anAverageThatIsHeldStaysAsItIs() throws {
    var ema = try ModelEMA(goldens.models[0])
    let held = ema.stateDict()
    let before = try bytes(#require(held["weight"]))
    try ema.update(goldens.models[1])
    #expect(try bytes(#require(held["weight"])) == before)
    #expect(try bytes(#require(ema.stateDict()["weight"])) != before)
    #expect(try bytes(#require(goldens.models[0]["weight"])) == before)
  }

  @Test func largeTensorsInThreads() throws {
    // Above the size that is divided, and not a multiple of any chunk.
    let count = (1 << 20) + 12345
    let (a, b) = ((0..<count).map { Float($0 % 1009) / 7 }, (0..<count).map { Float($0 % 997) / 11 })
    var ema = try ModelEMA(StateDict(["x": try Tensor(a)]), decay: 0.5, tau: 1)
    let result = try ema.update(StateDict(["x": try Tensor(b)]))
    let (d, rest) = (Float(result.decay), Float(1 - result.decay))
    let expected = zip(a, b).map { old, new -> Float in
      let kept = old * d
      return kept + rest * new
    }
    #expect(try #require(ema.stateDict()["x"]).floats() == expected)
  }

  @Test func missingAndMisshapenTensorsAreRefusedByName() throws {
    var ema = try ModelEMA(goldens.models[0])
    var model = goldens.models[1]
    model["bias"] = nil
    #expect { try ema.update(model) } throws: { ($0 as? ModelError)?.subject == "bias" }
    model["bias"] = try Tensor([1, 2, 3])
    #expect { try ema.update(model) } throws: { ($0 as? ModelError)?.subject == "bias" }
    #expect(ema.updates == 0)
  }

  @Test func nanIsReportedAndSkipped() throws {
    var model = goldens.models[1]
    model["bias"] = try Tensor([Float](repeating: .nan, count: 19))
    var ema = try ModelEMA(goldens.models[0])
    ema.skipsNonFinite = true
    let before = try bytes(#require(ema.stateDict()["weight"]))
    let skipped = try ema.update(model)
    #expect(skipped.isSkipped && skipped.nonFinite == ["bias"] && ema.updates == 0)
    #expect(try bytes(#require(ema.stateDict()["weight"])) == before)
    ema.skipsNonFinite = false
    let taken = try ema.update(model)
    #expect(!taken.isSkipped && taken.nonFinite == ["bias"] && ema.updates == 1)
  }

  @Test func halfPrecisionIsRoundedOnce() throws {
    for dtype in [DType.float16, .bfloat16] {
      let (a, b): ([Float], [Float]) = ([1, 0.333, -7.5, 1000], [2, 0.1, 3, -999])
      let (old, new) = (try Tensor(a).converted(to: dtype), try Tensor(b).converted(to: dtype))
      var ema = try ModelEma(StateDict(["x": old]), decay: 0.9)
      try ema.update(StateDict(["x": new]))
      let wide = zip(try old.floats(), try new.floats()).map { old, new -> Float in
        let kept = old * Float(0.9)
        return kept + Float(1 - 0.9) * new
      }
      let expected = try Tensor(wide).converted(to: dtype)
      #expect(try bytes(#require(ema.stateDict()["x"])) == bytes(expected))
    }
  }

  @Test func aModuleIsInEvaluationModeWithoutGradients() throws {
    var module = Module(
      ClassName("a", "B"), isTraining: true, parameters: ["weight": Parameter(try Tensor([1, 2]))],
      attributes: ["nc": .int(80)])
    module.children["tied"] = Module(ClassName("a", "C"), isTraining: true, parameters: module.parameters)
    var ema = try ModelEMA(module, decay: 0.5, tau: 1e-9)
    var model = module
    model.attributes["nc"] = .int(3)
    model.attributes["_hidden"] = .int(4)
    model.setTensors { _ in try? Tensor([3, 4]) }
    try ema.update(model)
    let average = try #require(ema.average.module)
    #expect(!average.isTraining && average.children["tied"]?.isTraining == false)
    #expect(average.parameters["weight"]?.requiresGrad == false)
    // Tied: averaged once, and still tied.
    #expect(try average.parameters["weight"]?.tensor.floats() == [2, 3])
    let tied = average.children["tied"]?.parameters["weight"]
    #expect(average.parameters["weight"]?.tensor.identity == tied?.tensor.identity)
    #expect(ema.updateAttributes(from: model, include: ["nc", "_hidden"]) == ["nc"])
    #expect(ema.average.module?.attributes["nc"] == .int(3))
  }

  /// A tensor that cannot be read, or has no values to average, comes after others that could: all stays as it was.
  @Test func anUpdateThatThrowsChangesNothing() throws {
    var average = StateDict()
    for name in ["a", "b", "c"] { average[name] = try Tensor([1, 2]) }
    var ema = try ModelEMA(average)
    let held = try ema.stateDict().map { try bytes($0.tensor) }
    var model = average
    model["a"] = try Tensor([5, 6])
    model["c"] = try Tensor(computed: .float32, [2]) { _ in throw ModelError(.system, "cannot be computed") }
    #expect(throws: ModelError(.system, "cannot be computed", subject: "c")) { try ema.update(model) }
    #expect(try ema.stateDict().map { try bytes($0.tensor) } == held && ema.updates == 0)
    model["c"] = try Tensor(.complex64, [2])
    #expect(throws: ModelError.self) { try ema.update(model) }
    #expect(try ema.stateDict().map { try bytes($0.tensor) } == held && ema.updates == 0)
  }
}
