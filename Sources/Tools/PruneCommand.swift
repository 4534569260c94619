import ArgumentParser
import ModelUtils
import SystemPackage

struct Prune: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "prune",
    abstract: "Zeroes the least important weights of every Conv2d.",
    discussion: """
      An amount is a share of each weight (0.3 or 30%), --count a number of its elements. Methods: l1 (smallest magnitudes of each layer), global \
      (smallest of all layers together), random (with --dim: whole slices), ln (slices of the lowest norm along --dim). Masks that \
      torch.nn.utils.prune left are applied and removed: the amount is of what they left, and --amount 0 only removes them.

      Examples:
        mutils prune resnet101.pth --amount 0.3 -o pruned.safetensors
        mutils prune model.pt --pattern 2:4 --exclude 'model.24.*'
      """)

  @OptionGroup var arguments: ModelsArguments
  @OptionGroup var output: OutputOptions
  @OptionGroup var report: ReportOptions
  @OptionGroup var verification: VerifyOptions

  @Option(help: "How much to prune of each weight: a share such as 0.3 or 30%. Default: 0.3.")
  var amount: String?

  @Option(
    help: ArgumentHelp("How many elements, or slices, of each weight to prune, instead of a share.", valueName: "n"))
  var count: Int?

  private func chosenAmount() throws -> PruneAmount {
    try count.map { .count($0) } ?? PruneAmount(amount ?? "0.3")
  }

  @Option(help: "l1, random, ln or global.")
  var method = Method.l1

  @Option(help: ArgumentHelp("Keep the N largest of every M along the input axis, such as 2:4.", valueName: "N:M"))
  var pattern: Pattern?

  @Option(
    help: ArgumentHelp(
      "A file of masks: a tensor with each weight's name and shape, 0 where it goes.", valueName: "file"),
    completion: .file())
  var mask: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("The axis whose slices are pruned, for ln (default 0) and random.", valueName: "d"))
  var dim: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("The norm of ln: 2 (default), 1, inf, -inf or any other number.", valueName: "p"))
  var norm: Double?

  @Option(parsing: .unconditional, help: "The seed of random (default 0), as torch.manual_seed takes it.")
  var seed: SeedNumber?

  @Option(
    help: ArgumentHelp("Prune only weights of these names, or inside modules of them.", valueName: "glob"),
    completion: Completion.tensors)
  var include: [String] = []

  @Option(
    help: ArgumentHelp("Leave out weights of these names, or inside modules of them.", valueName: "glob"),
    completion: Completion.tensors)
  var exclude: [String] = []

  @Flag(help: "Count existing zeros as pruned: the amount is of the rest (for l1 and global).")
  var remaining = false

  @Flag(help: "List the pruned layers.")
  var detailed = false

  enum Method: String, Choice { case l1, random, ln, global }

  struct Pattern: ExpressibleByArgument {
    let keep: Int
    let group: Int

    init?(argument: String) {
      let parts = argument.split(separator: ":", omittingEmptySubsequences: false).map { Int($0) }
      guard parts.count == 2, let keep = parts[0], let group = parts[1], (1...64).contains(group),
        (0...group).contains(keep)
      else { return nil }
      (self.keep, self.group) = (keep, group)
    }
  }

  func validate() throws {
    try verification.requireVerify()
    try output.check(for: arguments.models)
    if dim != nil && ![.ln, .random].contains(method) {
      throw ValidationError("--dim goes with --method ln or random")
    }
    if norm != nil && method != .ln { throw ValidationError("--norm goes with --method ln") }
    if seed != nil && method != .random { throw ValidationError("--seed goes with --method random") }
    let hasAmount = amount != nil || count != nil
    if pattern != nil && (method != .l1 || hasAmount) {
      throw ValidationError("--pattern is a method of its own, without --method, --amount and --count")
    }
    if mask != nil && (method != .l1 || pattern != nil || hasAmount) {
      throw ValidationError("--mask is a method of its own, without --method, --pattern, --amount and --count")
    }
    if amount != nil && count != nil { throw ValidationError("--amount and --count exclude each other") }
    if let count, count < 0 { throw ValidationError("--count takes a number from 0") }
    if remaining && ![.l1, .global].contains(method) {
      throw ValidationError("--remaining goes with --method l1 or global")
    }
    do { _ = try chosenAmount() } catch let error as ModelError {
      throw ValidationError(error.description)
    }
  }

  func run() throws {
    try report.withThreads { try arguments.forEach(of: self, report, prune) }
  }

  private func prune(_ arguments: ModelArguments) throws {
    var checkpoint = try arguments.open(report)
    let original = checkpoint
    let destination = try output.destination(for: arguments.model, suffix: "pruned")
    let options = try options()
    var reports: [PruneReport] = []
    let name = checkpoint.name
    try checkpoint.updateModels { _, model in
      do {
        reports.append(try model.prune(options))
      } catch let error as ModelError { throw error.inFile(name) }
    }
    guard let pruned = reports.first else { return }
    if !pruned.unmasked.isEmpty {
      report.note("the pruning masks of \(pruned.unmasked.count) tensors are applied and removed")
    }
    if case .count(let elements) = options.amount, count == nil, elements > 0 {
      report.note(
        "\(FigureText.count(elements, "element")) of each weight went; --amount \(elements)% is a share, --count \(elements) says so"
      )
    }
    for pattern in pruned.unmatched { report.note("no weight of a Conv2d matches '\(pattern.printable())'") }
    if pruned.layers.isEmpty { report.note("no Conv2d weight was chosen: nothing is pruned") }
    if checkpoint.preferred.module == nil, checkpoint.onnx == nil {
      report.note("a bare state dict: every weight with four axes counts as a Conv2d's, a transposed one's included")
    }
    let sparsity = try checkpoint.named { try checkpoint.preferred.sparsity(after: pruned) }
    if let note = Text.notCounted(sparsity) { report.note(note) }
    let verified = try verification.compare(original, with: checkpoint, report.talk)
    try verified?.judge(report)
    try show(pruned, sparsity, verified, output.save(checkpoint, to: destination, report))
  }

  private func options() throws -> PruneOptions {
    let chosen: PruneMethod
    if let mask {
      chosen = .custom(try Checkpoint(contentsOf: FilePath(mask)).preferred.stateDict())
    } else if let pattern {
      chosen = .pattern(keep: pattern.keep, group: pattern.group)
    } else {
      switch method {
      case .l1: chosen = .l1
      case .global: chosen = .global
      case .random:
        chosen = dim.map { .randomStructured(seed: seed?.bits ?? 0, axis: $0) } ?? .random(seed: seed?.bits ?? 0)
      case .ln: chosen = .structured(norm: norm ?? 2, axis: dim ?? 0)
      }
    }
    return PruneOptions(
      amount: try chosenAmount(), method: chosen, include: include.map { Glob($0) },
      exclude: exclude.map { Glob($0) },
      isRepeated: remaining)
  }

  private func show(_ pruned: PruneReport, _ sparsity: Sparsity, _ verified: OutputComparison?, _ path: String?) throws
  {
    if report.json {
      try Results.print(
        json: PruneResult(sparsity: sparsity.sparsity, pruned: pruned, verified: verified, output: path))
      return
    }
    Results.print("Pruned to \(Text.threeDigits(sparsity.sparsity)) global sparsity")
    if detailed {
      for layer in pruned.layers { Results.print(Text.zeros(layer.zeros, of: layer.elements, in: layer.name)) }
    }
    for refusal in pruned.refused {
      Results.print("  not pruned: \(refusal.name.printable()): \(refusal.reason.printable())")
    }
    if let verified { Results.print("Verified: \(verified)") }
    Results.print(output.writing.told(path))
  }
}

private struct PruneResult: Encodable {
  let sparsity: Double
  let pruned: PruneReport
  let verified: OutputComparison?
  let output: String?

  private enum Key: String, CodingKey { case sparsity, verified, output }

  func encode(to encoder: any Encoder) throws {
    try pruned.encode(to: encoder)
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(sparsity, forKey: .sparsity)
    try container.encodeIfPresent(verified, forKey: .verified)
    try container.encode(output, forKey: .output)
  }
}
