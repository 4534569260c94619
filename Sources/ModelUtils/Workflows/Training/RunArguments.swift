import ModelCore
import SystemPackage

/// What a run's `args.yaml` says of how it was begun.
public enum RunArguments {
  static let fileName = "args.yaml"

  /// How many threads the run in a folder computed with, upon which the last bits of what it learns depend; nil where
  /// its folder does not say.
  public static func threadCount(of folder: some FileLocation) -> Int? {
    guard let path = try? folder.filePath.appending(fileName), let file = try? FileBytes(mapping: path),
      let count = (try? YAMLDocument(file.bytes))?.root.entries?["threads"]?.text.flatMap({ Int($0) })
    else { return nil }
    return (1...1024).contains(count) ? count : nil
  }
}
