import ModelCheckpoints
import ModelCore
import TestSupport
import Testing

/// Which object in a file is the model: by rule, and by key.
@Suite struct ModelSelectionTests {
  static let tensor = Pickled.tensor(key: "0", count: 4, shape: [4])
  static let state = Pickled.dict(["w": tensor])
  static let module = Pickled.module("some.Net", parameters: [("w", Pickled.parameter(tensor))])

  private func open(_ root: [UInt8], key: String? = nil) throws -> Checkpoint {
    try Checkpoint(Pickled.file(root, storage: 16), key: key)
  }

  @Test func theFileIsTheModel() throws {
    #expect(Array(try open(Self.state).models.keys) == [""])
    #expect(try open(Self.module).preferred.module?.className.description == "some.Net")
  }

  @Test func emaComesBeforeModel() throws {
    let root = Pickled.dict([
      "epoch": Pickled.int(3), "model": Self.module, "optimizer": Pickled.none, "ema": Self.module,
    ])
    let checkpoint = try open(root)
    #expect(Array(checkpoint.models.keys) == ["ema", "model"])
    #expect(checkpoint.preferredKey == "ema")
  }

  /// The other model, which is damaged here, is neither read nor lost.
  @Test func thePreferredModelAlone() throws {
    let damaged = Pickled.module("some.Net", parameters: [("w", Pickled.int(1))])
    let root = Pickled.dict(["model": damaged, "ema": Self.module])
    #expect(throws: ModelError.self) { try open(root) }
    var checkpoint = try Checkpoint(Pickled.file(root, storage: 16), reading: .preferred)
    #expect(Array(checkpoint.models.keys) == ["ema"] && checkpoint.keys == ["ema", "model"])
    #expect(checkpoint.leftOut == ["model"])
    checkpoint.preferred.setTensors { _ in try? Tensor([Float(5), 6, 7, 8]) }
    let folder = try TemporaryFolder()
    try checkpoint.write(to: folder["out.pt"])
    let again = try Checkpoint(contentsOf: folder["out.pt"], reading: .preferred)
    #expect(again.keys == ["ema", "model"])
    #expect(try again.preferred.stateDict()["w"]?.floats() == [5, 6, 7, 8])
  }

  @Test func anEmaThatIsNoneIsNoModel() throws {
    let checkpoint = try open(Pickled.dict(["ema": Pickled.none, "model": Self.module]))
    #expect(Array(checkpoint.models.keys) == ["model"])
  }

  @Test(
    arguments: [
      "model", "state_dict", "model_state_dict", "net", "network", "module", "weights", "params", "model_ema",
      "state_dict_ema", "ema_state_dict", "params_ema", "model_state",
    ])
  func usualKeys(key: String) throws {
    #expect(try open(Pickled.dict([("epoch", Pickled.int(1)), (key, Self.state)])).preferredKey == key)
  }

  @Test func keysInsideKeys() throws {
    let checkpoint = try open(Pickled.dict(["model": Pickled.dict(["state_dict": Self.state])]))
    #expect(checkpoint.preferredKey == "model.state_dict")
    #expect(Array(checkpoint.preferred.stateDict().names) == ["w"])
  }

  @Test func modulesComeBeforeStateDicts() throws {
    let checkpoint = try open(Pickled.dict(["state_dict": Self.state, "net": Self.module]))
    #expect(Array(checkpoint.models.keys) == ["net"])
  }

  @Test func aSingleDictOfTensorsUnderAnotherKey() throws {
    let checkpoint = try open(Pickled.dict(["epoch": Pickled.int(1), "backbone": Self.state, "optimizer": Self.state]))
    #expect(checkpoint.preferredKey == "backbone")
  }

  @Test func severalAreNotGuessedAt() {
    let root = Pickled.dict(["generator": Self.state, "critic": Self.state])
    #expect(
      refusal { _ = try open(root) }
        == "test.pt: holds several models: 'generator', 'critic'; choose one with --key")
  }

  @Test func aLoneTensorBesideDictsIsNoModel() throws {
    let checkpoint = try open(Pickled.dict(["g_ema": Self.state, "latent_avg": Self.tensor]))
    #expect(Array(checkpoint.models.keys) == ["g_ema"])
    #expect(try open(Pickled.dict(["mean": Self.tensor, "generator": Self.state])).preferredKey == "generator")
    let root = Pickled.dict(["encoder": Self.state, "decoder": Self.state, "loss": Self.tensor])
    #expect(
      refusal { _ = try open(root) }
        == "test.pt: holds several models: 'encoder', 'decoder'; choose one with --key")
    let named = try open(Pickled.dict(["conv.weight": Self.tensor, "extra": Self.state]))
    #expect(Array(named.models.keys) == [""])
  }

  @Test func tensorsBesideOtherThings() throws {
    let checkpoint = try open(Pickled.dict(["w": Self.tensor, "note": Pickled.text("hello")]))
    #expect(Array(checkpoint.preferred.stateDict().names) == ["w"])
  }

  @Test func aKeyChooses() throws {
    let root = Pickled.dict([
      "ema": Self.module, "other": Pickled.dict(["deep": Self.state]), "a.b": Self.state, "n": Pickled.int(1),
    ])
    #expect(try open(root, key: "other.deep").preferredKey == "other.deep")
    #expect(try open(root, key: "a.b").preferredKey == "a.b")
    #expect(try open(root, key: "ema").models.count == 1)
    #expect(
      refusal { _ = try open(root, key: "model") }
        == "test.pt: there is no key 'model'; the file has 'ema', 'other', 'a.b', 'n'")
    #expect(refusal { _ = try open(root, key: "other.missing") }?.contains("there is no key 'other.missing'") == true)
    #expect(refusal { _ = try open(root, key: "n") } == "test.pt: 'n' holds no model")
    #expect(refusal { _ = try open(root, key: "n.x") }?.contains("there is no key") == true)
  }

  @Test func aKeyOfAFileOfTheOriginals() throws {
    let golden = try TorchFixtures.golden("training_checkpoint.pt")
    let path = TorchFixtures.path("training_checkpoint.pt")
    #expect(Array(try Checkpoint(contentsOf: path).models.keys) == ["ema", "model"])
    let model = try Checkpoint(contentsOf: path, key: "model")
    try expectTensors(model.preferred.stateDict(), #require(golden.model).tensors)
    #expect(model.preferred.module?.isTraining == true)
    #expect(refusal { _ = try Checkpoint(contentsOf: path, key: "optimizer") }?.contains("holds no model") == true)
    for name in ["nested_net.pt", "nested_state_dict.pt", "nested_model_state_dict.pt"] {
      let key = try #require(try TorchFixtures.golden(name).key)
      #expect(try Checkpoint(contentsOf: TorchFixtures.path(name)).preferredKey == key)
      #expect(try Checkpoint(contentsOf: TorchFixtures.path(name), key: key).preferred.stateDict().count == 7)
    }
  }

  @Test func formatsWithoutKeys() {
    for (name, reason) in [
      ("half.safetensors", "only PyTorch files have keys to choose from"),
      ("sharded/model.safetensors.index.json", "only PyTorch files have keys to choose from"),
      ("torchscript.pt", "a TorchScript archive has no keys to choose from"),
    ] {
      #expect(refusal { _ = try Checkpoint(contentsOf: TorchFixtures.path(name), key: "a") }?.hasSuffix(reason) == true)
    }
  }

  @Test(
    arguments: [
      (Pickled.none, "holds no model; a state dict, a dict with one, or a whole module is needed"),
      (Pickled.list([state]), "there are some under '0'; choose one with --key"),
      (Pickled.list([Pickled.none]), "holds no model; a state dict"), (tensor, "holds a single tensor, no model"),
      (Pickled.emptyDict, "holds no model; it has no keys"),
      (Pickled.dict(["a": Pickled.int(1), "b": Pickled.none]), "holds no model; it has 'a', 'b'"),
      (Pickled.dict(["optimizer": state]), "holds no model; it has 'optimizer'"),
      (Pickled.object("some.Thing", [("x", Pickled.int(1))]), "holds no model"),
    ] as [([UInt8], String)])
  func filesWithoutAModel(root: [UInt8], reason: String) {
    let message = refusal { _ = try open(root) }
    #expect(message?.contains(reason) == true, "\(message ?? "accepted")")
  }

  @Test func placesInListsAndObjects() throws {
    let object = Pickled.object("some.Trainer", [("net", Pickled.module("torch.nn.modules.linear.Identity"))])
    let root = Pickled.dict(["runs": Pickled.list([Pickled.none, Self.state]), "trainer": object])
    #expect(
      refusal { _ = try open(root) }?
        .hasSuffix("there are some under 'runs.1', 'trainer.net'; choose one with --key") == true)
    #expect(try open(root, key: "trainer.net").preferred.module?.className.name == "Identity")
    #expect(try open(root, key: "runs.1").preferred.stateDict().count > 0)
    for key in ["runs.2", "runs.-1", "runs.01", "runs.", "trainer.", "trainer.net.x"] {
      #expect(refusal { _ = try open(root, key: key) }?.contains("there is no key") == true, "\(key)")
    }
  }

  @Test func aModelTakesAnothersPlaceInAList() throws {
    let folder = try TemporaryFolder()
    var checkpoint = try open(Pickled.list([Pickled.int(7), Self.state]), key: "1")
    checkpoint.preferred = .module(Module(ClassName("torch.nn.modules.linear", "Identity")))
    try checkpoint.write(to: folder["list.pt"])
    let again = try Checkpoint(contentsOf: folder["list.pt"], key: "1")
    #expect(again.preferred.module?.className.name == "Identity")
  }

  /// Many objects that share a long state: it is gone through once.
  @Test func sharedStatesAreSearchedOnce() throws {
    let long = Pickled.dict((0..<20_000).map { ("attribute\($0)", Pickled.none) }) + [0x71, 0, 0x30, 0x28]
    var root = long
    for _ in 0..<20_000 { root += Pickled.global("some.Thing") + [0x29, 0x81, 0x68, 0, 0x62] }
    #expect(refusal { _ = try open(root + [0x6c]) }?.contains("holds no model") == true)
  }

  @Test func manyKeysAreCut() {
    let root = Pickled.dict((0..<20).map { ("key\($0)", Pickled.int($0)) })
    let message = refusal { _ = try open(root) }
    #expect(message?.hasSuffix("'key11', …") == true)
  }

  /// Many entries that are one object whose state is long: looked at once, not once an entry.
  @Test func sharedStatesAreLookedAtOnce() throws {
    let state = (0..<20_000).map { ("attribute\($0)", Pickled.none) }
    var root = Pickled.object("some.Thing", state) + [0x71, 0, 0x30, 0x28]
    for index in 0..<20_000 { root += Pickled.text("entry\(index)") + [0x68, 0] }
    let message = refusal { _ = try open(root + [0x64]) }
    #expect(message?.contains("holds no model") == true)
  }
}
