import ArgumentParser
import ModelUtils
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

  @Option(help: ModelSource.keyHelp)
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
      let checkpoint = try ModelSource.open(model, key: key, reading: .preferred)
      var made = try checkpoint.named {
        try checkpoint.onnx.map { try Classifier($0) }
          ?? Classifier(checkpoint.computableModule(report.talk), of: checkpoint)
      }
      if let imageSize {
        made.preprocessing = made.preprocessing.resized(to: [imageSize.height, imageSize.width])
      }
      let classifier = made
      let (pictures, hasFailures) = try classify(files, classifier).all(by: checkpoint)
      if report.json, !pictures.isEmpty { try Results.print(json: ["images": pictures]) }
      if hasFailures {
        Terminal.printNotes()
        throw ExitCode(1)
      }
    }
  }

  /// Reads and computes at once.
  private func classify(_ files: [FilePath], _ classifier: Classifier) -> PictureResults<ClassifiedPicture> {
    let (results, top) = (PictureResults<ClassifiedPicture>(of: files.count, report), top)
    pipelined(
      files,
      read: { file in
        do { return try classifier.preprocessing(ImageFile(contentsOf: file)) } catch let error as ModelError {
          throw error.inFile(file.string)
        }
      },
      work: { file, tensor in
        let classes = try results.compute { try classifier.classify(tensor).prefix(top) }
        return ClassifiedPicture(file: file.string, classes: Array(classes))
      },
      write: { _, _ in }, finished: { index, result in results.finish(index, result, line: \.line) })
    return results
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
