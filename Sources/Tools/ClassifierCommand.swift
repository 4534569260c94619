import ArgumentParser
import ModelUtils
import SystemPackage

struct ClassifierCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "classifier",
    abstract: "One of torchvision's pretrained networks with a new last layer.",
    discussion: """
      As YOLOv5's load_classifier: the last layer (of any classifier, not of ResNets alone) is replaced by zeros for so \
      many classes. The other weights come from torch.hub's cache ($TORCH_HOME/hub/checkpoints, else \
      $XDG_CACHE_HOME/torch/hub/checkpoints, else ~/.cache/torch/hub/checkpoints), from a file, or from an address, \
      whose file is kept in that cache. A download that broke off continues. A hash in the name of a file there, as in \
      resnet50-0676ba61.pth, is checked. The result is a state dict; without --output nothing is written.

      Examples:
        mutils classifier resnet50 --classes 10 -o resnet50-10.pt
        mutils classifier squeezenet1_1 --classes 3 --weights mine.safetensors --head init --seed 1 -o start.pt
        mutils classifier resnet18 --classes 5 --weights https://example.org/resnet18-f37072fd.pth -o resnet18-5.pt
      """)

  @Argument(help: "A torchvision classifier: resnet50, vgg16_bn, mobilenet_v3_small, ….")
  var name: String

  @Option(help: ArgumentHelp("How many classes the new layer tells apart.", valueName: "n"))
  var classes: Int

  @Option(
    help: ArgumentHelp(
      """
      Where the other weights come from: a file, an address of http or https, or 'none' for random ones. Default: \
      torch.hub's cache.
      """, valueName: "path"), completion: .file())
  var weights: String?

  @Option(help: "What the new layer starts with: zero, or init for what PyTorch draws.")
  var head = ClassifierHead.zero

  @Option(
    parsing: .unconditional,
    help: "The seed of what is drawn, as torch.manual_seed takes it: all weights with --weights none, then the head's.")
  var seed = SeedNumber(0)

  @OptionGroup var output: OutputOptions
  @OptionGroup var report: ReportOptions

  func run() throws {
    try report.withThreads {
      let destination = try output.destination(for: name, suffix: "classifier")
      let classifier = try load()
      classifier.notes.forEach(report.note)
      let saved = try output.save(Checkpoint(classifier.module, name: name), to: destination, report)
      if report.json {
        try Results.print(json: ClassifierResult(classifier, output: saved))
        return
      }
      Results.print(classifier.description)
      Results.print("Weights of \(classifier.weights.map { $0.printable() } ?? "seed \(seed)")")
      Results.print(output.writing.told(saved))
    }
  }

  private func load() throws -> LoadedClassifier {
    let progress = Progress("downloading", of: 0, in: .bytes, isShown: !report.quiet)
    defer { progress.finish() }
    return try loadClassifier(name, classes: classes, weights: source, head: head, seed: seed.bits) {
      progress.reach($0.received, of: $0.expected ?? 0)
    }
  }

  private var source: ClassifierWeights {
    guard let weights else { return .hubCache }
    if weights == "none" { return .random }
    let isAddress = ["http://", "https://"].contains { weights.lowercased().hasPrefix($0) }
    return isAddress ? .url(weights) : .file(FilePath(weights))
  }

}

extension ClassifierHead: Choice {}

private struct ClassifierResult: Encodable {
  let parameters: Int
  let classes: Int
  let head: String
  let features: Int
  let weights: String?
  let output: String?

  init(_ classifier: LoadedClassifier, output: String?) {
    parameters = classifier.parameters
    classes = classifier.classes
    head = classifier.head
    features = classifier.features
    weights = classifier.weights
    self.output = output
  }

  private enum Key: String, CodingKey { case parameters, classes, head, features, weights, output }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(parameters, forKey: .parameters)
    try container.encode(classes, forKey: .classes)
    try container.encode(head, forKey: .head)
    try container.encode(features, forKey: .features)
    try container.encode(weights, forKey: .weights)
    try container.encode(output, forKey: .output)
  }
}
