import Foundation

/// Writes the man page of what `mutils --experimental-dump-help` says, on standard output: `make manual`.
///
/// What many commands take alike is told once.
@main
enum Manual {
  static func main() throws {
    let help = try JSONDecoder().decode(Help.self, from: FileHandle.standardInput.readDataToEndOfFile())
    print(page(of: help.command), terminator: "")
  }

  private static func page(of tool: Command) -> String {
    let commands = tool.shownSubcommands.flatMap { command in
      [command] + command.shownSubcommands.map { $0.named("\(command.commandName) \($0.commandName)") }
    }
    let shared = sharedArguments(of: commands)
    var page = Page()
    page.macro("TH", tool.commandName.uppercased(), "1")
    page.macro("SH", "NAME")
    page.text("\(tool.commandName) - \(tool.abstract ?? "")")
    page.macro("SH", "SYNOPSIS")
    page.bold("\(tool.commandName) command [options]")
    page.macro("SH", "DESCRIPTION")
    page.paragraphs(tool.discussion)
    page.macro("SH", "COMMANDS")
    for command in commands {
      page.macro("SS", command.commandName)
      page.bold(command.usage(of: tool.commandName))
      page.macro("PP")
      page.text(command.abstract ?? "")
      page.paragraphs(command.discussion)
      for argument in command.shown where !shared.contains(argument) { page.argument(argument) }
      let further = command.shown.filter { shared.contains($0) && !$0.isEverywhere }.map(\.shortTitle)
      if !further.isEmpty {
        page.macro("PP")
        page.text("Also takes \(further.formatted(.list(type: .and).locale(Locale(identifier: "en_US")))).")
      }
    }
    page.macro("SH", "SHARED OPTIONS")
    for argument in shared { page.argument(argument) }
    return page.lines.joined(separator: "\n") + "\n"
  }

  /// In the order in which they are met.
  private static func sharedArguments(of commands: [Command]) -> [Argument] {
    let all = commands.flatMap(\.shown)
    var shared: [Argument] = []
    for argument in all where !shared.contains(argument) && all.count(where: { $0 == argument }) > 4 {
      shared.append(argument)
    }
    return shared
  }
}

/// Lines of troff with the macros of man(7).
private struct Page {
  private(set) var lines: [String] = []

  mutating func macro(_ name: String, _ arguments: String...) {
    lines.append(([".\(name)"] + arguments.map { "\"\(escaped($0))\"" }).joined(separator: " "))
  }

  mutating func text(_ text: String) {
    let line = escaped(text)
    lines.append(line.hasPrefix(".") || line.hasPrefix("'") ? "\\&" + line : line)
  }

  mutating func bold(_ text: String) { lines.append(".B \(escaped(text))") }

  /// Indented lines stay as they are.
  mutating func paragraphs(_ discussion: String?) {
    guard let discussion, !discussion.isEmpty else { return }
    for paragraph in discussion.components(separatedBy: "\n\n") {
      macro("PP")
      var isExample = false
      for line in paragraph.components(separatedBy: "\n") {
        if line.hasPrefix("  ") != isExample {
          isExample.toggle()
          lines.append(isExample ? ".nf" : ".fi")
        }
        text(line)
      }
      if isExample { lines.append(".fi") }
    }
  }

  mutating func argument(_ argument: Argument) {
    macro("TP")
    bold(argument.title)
    var words = argument.abstract ?? ""
    if let value = argument.defaultValue, !value.isEmpty { words += " Default: \(value)." }
    text(words)
    if let discussion = argument.discussion, !discussion.isEmpty { text(discussion) }
  }

  private func escaped(_ text: String) -> String {
    text.replacingOccurrences(of: "\\", with: "\\e").replacingOccurrences(of: "-", with: "\\-")
  }
}

private struct Help: Decodable {
  let command: Command
}

private struct Command: Decodable {
  var commandName: String
  let abstract: String?
  let discussion: String?
  let shouldDisplay: Bool
  let arguments: [Argument]?
  let subcommands: [Command]?

  var shown: [Argument] { (arguments ?? []).filter(\.shouldDisplay) }

  var shownSubcommands: [Command] {
    (subcommands ?? []).filter { $0.commandName != "help" && $0.shouldDisplay }
  }

  func named(_ name: String) -> Command {
    var command = self
    command.commandName = name
    return command
  }

  func usage(of tool: String) -> String {
    guard shownSubcommands.isEmpty else { return "\(tool) \(commandName) command [options]" }
    let positional = shown.filter { $0.kind == "positional" }.map { $0.isOptional ? "[\($0.title)]" : $0.title }
    return ([tool, commandName] + positional + ["[options]"]).joined(separator: " ")
  }
}

private struct Argument: Decodable, Equatable {
  struct Name: Decodable, Equatable {
    let kind: String
    let name: String
  }

  let kind: String
  let names: [Name]?
  let valueName: String?
  let abstract: String?
  let discussion: String?
  let defaultValue: String?
  let isOptional: Bool
  let isRepeating: Bool
  let shouldDisplay: Bool

  /// Every command has it.
  var isEverywhere: Bool { ["help", "version"].contains(valueName) }

  var shortTitle: String {
    kind == "positional" ? title : (names ?? []).max { $0.name.count < $1.name.count }.map { "--\($0.name)" } ?? title
  }

  /// As it is typed: `-o, --output <output>`.
  var title: String {
    let value = "<\(valueName ?? "value")>" + (isRepeating ? " ..." : "")
    guard kind != "positional" else { return value }
    let spellings = (names ?? []).sorted { $0.kind == "short" && $1.kind != "short" }
      .map { ($0.kind == "long" ? "--" : "-") + $0.name }.joined(separator: ", ")
    return kind == "option" ? "\(spellings) \(value)" : spellings
  }
}
