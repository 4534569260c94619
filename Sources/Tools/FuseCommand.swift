import ArgumentParser
import ModelUtils

struct Fuse: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fuse",
    abstract: "Fuses batch norms into the convolutions before them.",
    discussion: """
      Only pairs that are proved are fused: by the known forward of a class, or by the order inside a Sequential. The others are listed with \
      a reason. A bare state dict proves nothing: name its pairs with --pair and give the eps of their batch norms. In whole modules of classes \
      that are not known --pair names them too; eps is theirs. Which convolutions of a state dict are transposed is proved by unequal channels alone: \
      --transposed names the others.

      Examples:
        mutils fuse yolov5s.pt -o fused.pt
        mutils fuse resnet50.pth --pair conv1=bn1 --pair 'layer*.conv?=layer*.bn?' \
      --pair 'layer*.downsample.0=layer*.downsample.1' --eps 1e-5
      """)

  @OptionGroup var arguments: ModelsArguments
  @Flag(help: "List everything that is left as it is, not each reason once.")
  var detailed = false

  @OptionGroup var output: OutputOptions
  @OptionGroup var report: ReportOptions
  @OptionGroup var verification: VerifyOptions

  @Option(
    help: ArgumentHelp(
      "A convolution and its batch norm, by name; wildcards of both sides stand for the same text.",
      valueName: "CONV=BN"))
  var pair: [String] = []

  @Option(help: "The eps of the batch norms of a state dict (PyTorch's default is 1e-5, YOLO's models use 1e-3).")
  var eps: Double?

  @Option(
    help: ArgumentHelp(
      "The transposed convolutions among the pairs of a state dict; all others are ordinary.", valueName: "glob"))
  var transposed: [String] = []

  @Flag(help: "No convolution of the pairs is transposed, whatever its shape.")
  var noTransposed = false

  @Flag(
    help:
      "Merge the branches of RepVGG-style blocks (YOLOv6, YOLOv7, YOLOv9, YOLOv10, MobileOne, FastViT) first; in a state dict by their names, with --eps."
  )
  var reparameterize = false

  @Flag(help: "Keep the prefixes module. and _orig_mod. in the names of a state dict.")
  var keepPrefix = false

  func validate() throws {
    try verification.requireVerify()
    try output.check(for: arguments.models)
    if !transposed.isEmpty && noTransposed { throw ValidationError("--transposed and --no-transposed contradict") }
    if pair.isEmpty && (!transposed.isEmpty || noTransposed) {
      throw ValidationError("--transposed and --no-transposed go with --pair")
    }
  }

  func run() throws {
    try report.withThreads { try arguments.forEach(of: self, report, fuseModels) }
  }

  private func fuseModels(_ arguments: ModelArguments) throws {
    var checkpoint = try arguments.open(report)
    let original = checkpoint
    let destination = try output.destination(for: arguments.model, suffix: "fused")
    var reports: [Outcome] = []
    let name = checkpoint.name
    do {
      if let fusion = try fuse(&checkpoint) {
        reports.append(Outcome(fusion: fusion))
      } else {
        try checkpoint.updateModels { _, model in reports.append(try fuse(&model)) }
      }
    } catch let error as ModelError { throw error.inFile(name) }
    guard let result = reports.first else { return }
    note(result.fusion)
    if !result.fusion.fused.isEmpty || !result.merging.merged.isEmpty { checkpoint.dropOptimizer() }
    let verified = try verification.compare(original, with: checkpoint, report.talk)
    try verified?.judge(report)
    try show(result, verified, output.save(checkpoint, to: destination, report))
  }

  /// Says what is not proved.
  private func note(_ fusion: FusionReport) {
    guard fusion.isOrderGiven else { return }
    report.note("that each batch norm takes its convolution's output alone is your word")
    if transposed.isEmpty, !fusion.transposed.isEmpty {
      report.note("transposed by their shapes: \(fusion.transposed.joined(separator: ", ").printable())")
    }
    if let first = fusion.assumedOrdinary.first {
      report.note(
        "taken for ordinary convolutions where a transposed one would fit, too (--transposed names those): "
          + "\(fusion.assumedOrdinary.count), the first \(first.printable())")
    }
  }

  /// Fuses an ONNX model, which says itself what follows what.
  private func fuse(_ checkpoint: inout Checkpoint) throws -> FusionReport? {
    guard checkpoint.onnx != nil else { return nil }
    guard pair.isEmpty, eps == nil, !reparameterize else {
      throw ModelError(
        .invalid, "is an ONNX model, which says itself what follows what",
        advice: "leave out --pair, --eps and --reparameterize")
    }
    return try checkpoint.updateONNX { try $0.fuse() }
  }

  private struct Outcome {
    var fusion: FusionReport
    var merging = ReparameterizationReport()
  }

  private func fuse(_ model: inout Model) throws -> Outcome {
    try model.update(module: fuse, stateDict: fuse)
  }

  private func fuse(_ module: inout Module) throws -> Outcome {
    guard eps == nil else {
      throw ModelError(.invalid, "holds whole modules, which know their eps", advice: "leave out --eps")
    }
    guard transposed.isEmpty, !noTransposed else {
      throw ModelError(
        .invalid, "holds whole modules, which know what is transposed",
        advice: "leave out --transposed and --no-transposed")
    }
    let before = module.parameterCount
    let merging = reparameterize ? try module.reparameterize() : ReparameterizationReport()
    var fusion = try pair.isEmpty ? module.fuse() : module.fuse(try pair.map(PairPattern.init))
    fusion.parametersBefore = before
    return Outcome(fusion: fusion, merging: merging)
  }

  private func fuse(_ state: inout StateDict) throws -> Outcome {
    if !keepPrefix {
      let prefix = state.removeWrapperPrefixes()
      if !prefix.isEmpty { report.note("the prefix '\(prefix)' was removed from all names") }
    }
    if pair.isEmpty, !reparameterize, let known = state.recognized() {
      guard eps == nil else {
        throw ModelError(
          .invalid, "is \(known.architecture.name), whose eps is known",
          advice: "leave out --eps, or name the pairs with --pair")
      }
      report.note("recognised as \(known.architecture.name) with \(known.classes) classes")
      return Outcome(fusion: try state.fuse())
    }
    guard !pair.isEmpty || reparameterize else {
      if state.hasMasks { throw ModelError.masked }
      throw ModelError(
        .unsupported,
        "is a bare state dict of no known architecture, which does not say what follows what",
        advice: "name the pairs with --pair 'CONV=BN' and give --eps")
    }
    if reparameterize { try state.requireBranches() }
    guard let eps else {
      throw ModelError(
        .missing,
        "eps is not in a state dict", advice: "give --eps (PyTorch's default is 1e-5, YOLO's models use 1e-3)")
    }
    let isSaid = noTransposed || !transposed.isEmpty
    let before = state.parameterCount
    let merging = reparameterize ? try state.reparameterize(eps: eps) : ReparameterizationReport()
    var fusion = try state.fuse(
      try pair.map(PairPattern.init), eps: eps, transposed: isSaid ? transposed.map { Glob($0) } : nil)
    fusion.parametersBefore = before
    return Outcome(fusion: fusion, merging: merging)
  }

  private func show(_ results: Outcome, _ verified: OutputComparison?, _ path: String?) throws {
    let result = results.fusion
    if report.json {
      try Results.print(
        json: FuseResult(
          result: result, reparameterized: reparameterize ? results.merging : nil, verified: verified, output: path))
      return
    }
    if reparameterize {
      let count = results.merging.merged.count
      Results.print("Merged the branches of \(count) blocks")
      if count == 0, results.merging.refused.isEmpty { report.note("no block has branches that could be merged") }
    }
    show("not merged", results.merging.refused.map { ($0.name, $0.reason) })
    Results.print(result.description)
    show("not fused", result.refused.map { ($0.conv.isEmpty ? $0.bn : "\($0.conv) + \($0.bn)", $0.reason) })
    if let verified { Results.print("Verified: \(verified)") }
    Results.print(output.writing.told(path))
  }

  /// Each reason once where many share it.
  private func show(_ what: String, _ refusals: [(subject: String, reason: String)]) {
    let few = 3
    for group in OrderedDictionary(grouping: refusals, by: \.reason).values {
      let shown = detailed || group.count <= few ? group[...] : group.prefix(1)
      for refusal in shown {
        let rest = shown.count < group.count ? " (and \(group.count - 1) more; --detailed lists them)" : ""
        Results.print("  \(what): \(refusal.subject.printable()): \(refusal.reason.printable())\(rest)")
      }
    }
  }
}

private struct FuseResult: Encodable {
  let result: FusionReport
  let reparameterized: ReparameterizationReport?
  let verified: OutputComparison?
  let output: String?

  private enum Key: String, CodingKey { case output, reparameterized, verified }

  func encode(to encoder: any Encoder) throws {
    try result.encode(to: encoder)
    var container = encoder.container(keyedBy: Key.self)
    try container.encodeIfPresent(reparameterized, forKey: .reparameterized)
    try container.encodeIfPresent(verified, forKey: .verified)
    try container.encode(output, forKey: .output)
  }
}
