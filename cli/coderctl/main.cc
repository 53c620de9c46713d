#include "cli/coderctl/command_line.h"

int main(int argc, char** argv) { return coder::cli::RunCoderctl(argc, argv); }
