import ArgumentParser
import ModelUtils
import Synchronization
import SystemPackage

struct Classify: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "classify",
    abstract: "Names what pictures show.",
    discussion: """
      A picture is resized, cut and normalised as the library does it that the model is from: torchvision (by its newest weights), timm (as \
      the model says), Ultralytics or YOLOv5. A picture that cannot be read is told on standard error; the others are done, and the exit \
      status is 1.

      Example:
        mutils classify resnet50.pt cat.jpg --top 3
      """)

  @Argument(help: "The model's file, or the name of a built-in architecture.", completion: .file())
  var model: String

  @Argument(help: "Pictures, or folders of them.", completion: .file(extensions: ["png", "jpg", "jpeg"]))
  var images: [String]

  @Option(help: ArgumentHelp("Which object in a PyTorch file is the model, such as 'ema' or 'a.b'.", valueName: "key"))
  var key: String?

  @Option(help: ArgumentHelp("How many classes to tell of each picture.", valueName: "n"))
  var top = 5

  @Option(
    help: ArgumentHelp(
      "The size that the model is given, as 224 or 224x320. Default: what it was made for.", valueName: "size"))
  var imageSize: ImageSize?

  @OptionGroup var report: ReportOptions

  func validate() throws {
    guard !images.isEmpty else { throw ValidationError("no picture is given") }
    guard top > 0 else { throw ValidationError("--top takes a positive number") }
  }

  func run() throws {
    try report.withThreads {
      let files = try PictureFiles.all(images, passOver: report.note)
      let checkpoint = try ModelSource.open(model, key: key)
      var made = try checkpoint.named { try Classifier(checkpoint.computableModule(report.talk)) }
      if let imageSize {
        made.preprocessing = made.preprocessing.resized(to: [imageSize.height, imageSize.width])
      }
      let classifier = made
      var trouble = false
      let fault = ModelFault()
      let pictures = classify(files, classifier, fault, &trouble)
      try fault.check(checkpoint)
      if report.json, !pictures.isEmpty { try Terminal.print(json: ["images": pictures]) }
      if trouble {
        Terminal.printNotes()
        throw ExitCode(1)
      }
    }
  }

  /// Reads and computes at once; a line for each picture in their order.
  private func classify(
    _ files: [FilePath], _ classifier: Classifier, _ fault: ModelFault, _ trouble: inout Bool
  ) -> [ClassifiedPicture] {
    let progress = report.progress("pictures", of: files.count)
    let outcome = Mutex<(pictures: [Int: ClassifiedPicture], failures: Int)>(([:], 0))
    let (count, asJSON, top) = (files.count, report.json, top)
    @Sendable func named<R>(_ file: FilePath, _ body: () throws -> R) throws -> R {
      do { return try body() } catch let error as ModelError { throw error.inFile(file.string) }
    }
    pipelined(
      files, read: { file in try named(file) { try classifier.preprocessing(ImageFile(contentsOf: file)) } },
      work: { file, tensor in
        let classes = try fault.watch { try classifier.classify(tensor).prefix(top) }
        return ClassifiedPicture(file: file.string, classes: Array(classes))
      },
      write: { _, _ in },
      finished: { index, result in
        progress.finish()
        switch result {
        case .success(let picture):
          if !asJSON { Terminal.print("image \(index + 1)/\(count) \(picture.line)") }
          outcome.withLock { $0.pictures[index] = picture }
        case .failure(let error):
          let error = error as? ModelError ?? ModelError(.system, "\(error)")
          outcome.withLock { $0.failures += 1 }
          if error.file != nil { Terminal.error(error, asJSON: asJSON) }
        }
        progress.step()
      })
    progress.finish()
    return outcome.withLock { outcome in
      trouble = outcome.failures > 0
      return outcome.pictures.sorted { $0.key < $1.key }.map(\.value)
    }
  }
}

/// What is told of a picture.
private struct ClassifiedPicture: Encodable, Sendable {
  let file: String
  let classes: [Classifier.Guess]

  /// `cat.jpg: tabby 0.62, tiger cat 0.21`.
  var line: String {
    let guesses = classes.map { "\($0.className.printable()) \(CFormat.string("%.2f", Double($0.probability)))" }
    return "\(file.printable()): \(guesses.joined(separator: ", "))"
  }
}
