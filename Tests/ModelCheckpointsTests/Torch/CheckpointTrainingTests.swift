import ModelCheckpoints
import ModelCore
import TestSupport
import Testing

/// The average takes the model's place, and what only training needs goes.
@Suite struct CheckpointTrainingTests {
  static let state = ModelSelectionTests.state
  /// A state dict that is told from `state` by its name.
  static let average = Pickled.dict(["a": ModelSelectionTests.tensor])

  private func open(_ root: [UInt8], key: String? = nil) throws -> Checkpoint {
    try Checkpoint(Pickled.file(root, storage: 16), key: key)
  }

  @Test(
    arguments: [
      (["model": state, "ema": average], "ema", "model"),
      (["model": state, "ema": Pickled.dict(["module": average, "updates": Pickled.int(7)])], "ema.module", "model"),
      (["model": state, "ema": Pickled.dict(["model": average])], "ema.model", "model"),
      (["ema": Pickled.dict(["module": average])], "ema.module", "model"),
      (["state_dict": state, "state_dict_ema": average], "state_dict_ema", "state_dict"),
      (["model": state, "state_dict_ema": average], "state_dict_ema", "model"),
      (["params": state, "params_ema": average], "params_ema", "params"),
      (["model_state_dict": state, "ema_state_dict": average], "ema_state_dict", "model_state_dict"),
      (["model": Pickled.dict(["state_dict": state]), "ema": average], "ema", "model.state_dict"),
      (["g": state, "g_ema": average], "g_ema", "g"),
    ] as [(KeyValuePairs<String, [UInt8]>, String, String)])
  func averages(root: KeyValuePairs<String, [UInt8]>, from: String, to: String) throws {
    var file = try open(Pickled.dict(root))
    let promotion = try #require(try file.promoteAverage())
    #expect(promotion.average == from && promotion.model == to)
    #expect(Array(file.models.keys) == [to])
    #expect(Array(file.preferred.stateDict().names) == ["a"])
    let folder = try TemporaryFolder()
    try file.write(to: folder["o.pt"])
    let again = try Checkpoint(contentsOf: folder["o.pt"])
    #expect(Array(again.models.keys) == [to] && Array(again.preferred.stateDict().names) == ["a"])
  }

  @Test func anAverageAloneStays() throws {
    var file = try open(Pickled.dict(["params_ema": Self.average]))
    #expect(try file.promoteAverage() == nil)
    #expect(Array(file.models.keys) == ["params_ema"])
  }

  @Test func whatIsNotUnderstoodIsNotDropped() throws {
    let shadows = Pickled.dict(["shadow_params": Pickled.list([ModelSelectionTests.tensor])])
    let root = Pickled.dict(["model": Self.state, "ema": shadows])
    var file = try open(root)
    #expect(
      refusal { _ = try file.promoteAverage() }
        == "test.pt: ema: holds an average that is not understood, beside a model that is; "
        + "say with --key which object is the model")
    var chosen = try open(root, key: "model")
    #expect(try chosen.promoteAverage() == nil)
    // A decay is no average.
    var decay = try open(Pickled.dict(["model": Self.state, "ema": Pickled.double(0.99)]))
    #expect(try decay.promoteAverage() == nil)
  }

  /// mmengine saves the average as `state_dict`, and the trained weights as `ema_state_dict`.
  @Test func mmengine() throws {
    let meta = Pickled.dict(["mmengine_version": Pickled.text("0.10")])
    var file = try open(Pickled.dict(["meta": meta, "state_dict": Self.average, "ema_state_dict": Self.state]))
    #expect(file.preferredKey == "state_dict")
    #expect(try file.promoteAverage() == nil)
    #expect(file.dropTrainingState(keeping: ["state_dict"]) == ["ema_state_dict"])
  }

  @Test func trainingState() throws {
    var file = try open(
      Pickled.dict([
        "epoch": Pickled.int(4), "state_dict": Self.state, "optimizer_states": Pickled.list([Self.state]),
        "lr_schedulers": Pickled.list([]), "optimizer_name": Pickled.text("sgd"), "hyper_parameters": Pickled.emptyDict,
      ]))
    #expect(file.dropTrainingState(keeping: ["state_dict"]) == ["optimizer_states", "lr_schedulers"])
    #expect(file.entry("epoch") == .int(-1) && file.entry("optimizer_states") == nil)
    for name in ["ema", "updates", "best_fitness", "optimizer"] { #expect(file.entry(name) == nil) }
    #expect(file.entry("optimizer_name") == .string("sgd") && file.entry("hyper_parameters") != nil)
  }

  // MARK: Devices

  static let cuda = Pickled.tensor(
    of: Pickled.storage(key: "0", count: 4, location: "cuda:0"), shape: [4])

  private func locations(_ file: Checkpoint) throws -> Set<String> {
    let folder = try TemporaryFolder()
    try file.write(to: folder["o.pt"])
    return Set(try TorchFile(FileBytes(mapping: folder["o.pt"])).graph.storages.map(\.location))
  }

  @Test(
    arguments: [
      Pickled.dict(["model": Pickled.dict(["w": cuda, "n": cuda])]),
      Pickled.module("some.Net", parameters: [("w", Pickled.parameter(cuda))], buffers: [("n", cuda)]),
    ])
  func newTensorsStandWhereTheModelStands(root: [UInt8]) throws {
    var file = try open(root)
    let tensor = try Tensor([1, 2, 3])
    file.updateModels { _, model in model.setTensors { $0 == "w" ? tensor : nil } }
    #expect(try locations(file) == ["cuda:0"])
    file.moveToCPU()
    #expect(try locations(file) == ["cpu"])
  }
}
