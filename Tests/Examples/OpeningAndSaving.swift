import ModelUtils
import Testing

@Suite struct OpeningAndSaving {
  /// The article's own snippets stand here; the articles' test compares them.
  @Test func article() throws {
    try withFolder { folder in
      let net = try smallNet()
      let (path, output) = ("\(folder)/last.pt", "\(folder)/half.pt")

      var made = Checkpoint(whole: net, name: "net")
      made.nestModel(under: "model")
      try made.setEntry("epoch", to: .int(3))
      try made.write(to: path)

      var checkpoint = try Checkpoint(contentsOf: path)
      print(checkpoint.format, checkpoint.models.keys)
      #expect(checkpoint.format == .torch)
      #expect(checkpoint.preferredKey == "model")

      switch checkpoint.preferred {
      case .module(let module): print(module.className, module.parameterCount)
      case .stateDict(let state): print(state.names)
      }
      #expect(checkpoint.preferred.module?.className.name == "Sequential")

      let epoch = checkpoint.entry("epoch")?.intValue
      #expect(epoch == 3)

      try checkpoint.updateModels { key, model in
        try model.convert(to: .float16)
      }
      try checkpoint.setEntry("epoch", to: .int(-1))
      checkpoint.dropOptimizer()
      try checkpoint.write(to: output)
      let half = try Checkpoint(contentsOf: output)
      #expect(half.entry("epoch") == .int(-1))
      #expect(half.preferred.stateDict()["0.weight"]?.dtype == .float16)

      let weights = "\(folder)/weights"
      try checkpoint.write(to: weights + ".safetensors")
      try checkpoint.write(to: weights + ".pt", stateDictOnly: true)
      #expect(try Checkpoint(contentsOf: weights + ".safetensors").format == .safetensors)
      #expect(try !Checkpoint(contentsOf: weights + ".pt").isWholeModule)

      let index = "\(folder)/model.safetensors"
      try checkpoint.write(to: index, maxShardSize: 5_000_000_000)

      let audit = try PickleAudit(contentsOf: path)
      guard audit.verdict == .safe else { throw ModelError(.unsafe, "\(audit.findings)") }
    }
  }
}
